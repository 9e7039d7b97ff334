// SPDX-License-Identifier: MIT
// What supervisor and children say to each other over their SOCK_SEQPACKET pair: one struct per
// packet, perhaps with descriptors. A child whose channel reaches its end has lost its supervisor
// and ends at once.
//
//   supervisor                                   control              worker
//       |<------------- READY --------------------'--------------------'|
//       |  LISTENERS* CONFIG (bundle) ------------>---------------------->|   a reload
//       |<------------- TAKEN (generation) --------'---------------------'|
//       |<------------- RELEASED (generation) ---------------------------'|   no session uses an
//       |                                          |                      |   older one any more
//       |<-- ASK (what, text) ---------------------'                      |   reload, restart, ...
//       |--- ANSWER (id, status, text) ----------->|                      |
//       |<-- QUERY (id) ---------------------------'                      |   ctl sessions
//       |--- QUERY (id) ------------------------------------------------->|
//       |<-- ANSWER (id, text) ------------------------------------------'|
//       |--- ANSWER (id, worker, text) ----------->|                      |
//       |<-- CHALLENGE (id, text) ---------------------------------------'|   acme
//       |--- ANSWER (id, text) ------------------------------------------>|
#ifndef EVLB_CHANNEL_H
#define EVLB_CHANNEL_H

#include "base/base.h"
#include "base/str.h"

enum message_type {
    MSG_READY = 1, // child: serving
    MSG_DRAIN,     // supervisor: take no new connections, finish what is there, then exit 0;
                   // arg = ms until the rest is cut, 0: no limit
    MSG_STOP,      // supervisor: exit 0 at once
    MSG_LISTENERS, // supervisor -> worker: fds[i] is the listening socket with number id[i]; comes
                   // before the CONFIG that uses it
    MSG_CONFIG,    // supervisor: arg = generation, fds[0] = a sealed memfd (conf/bundle.h);
                   // value = max-connections of the process tree, 0: as before
    MSG_TAKEN,     // child: arg = generation, status 0: it is in force here
    MSG_RELEASED,  // worker: arg = the oldest generation that something still uses
    MSG_ASK,       // control -> supervisor: arg = enum ask, request = a number of control's own,
                   // fds[0] = its text, if any
    MSG_QUERY,     // control -> supervisor -> each worker: arg = enum query, request as above,
                   // value = at most so many of each worker
    MSG_CHALLENGE, // worker -> supervisor: what is the answer to a challenge? request = a number of
                   // the worker's own, fds[0] = "FRONTEND TOKEN"; the answer's text is that of the
                   // file, status 1: there is none
    MSG_ANSWER, // the answer to an ASK, QUERY or CHALLENGE: request, status (0: done), fds[0] = its
                // text, if any; arg = the worker, value = how many it has in all; n_more = answers
                // to the same request still to come (a worker that dies meanwhile counts as one
                // without text)
    MSG_LOG_LEVEL,  // supervisor: arg = enum log_level
    MSG_ACCESS_LOG, // supervisor -> logger: fds[0] = where access lines go from now on; none:
                    // standard error
};

enum ask {
    ASK_RELOAD,         // read the files again; the answer's text: what was done, or the findings
    ASK_OVERLAY,        // the same with one more line of conf/overlay.h, the text, which the
                        // supervisor adds (overlay_add()) to the overlay that it keeps; when that
                        // fails, the overlay stays as it was
    ASK_RESTART_WORKER, // value = which; its sessions are drained first
    ASK_UPGRADE,        // start the binary anew on the same sockets
    ASK_LOG_LEVEL,      // value = enum log_level
    ASK_LOG_REOPEN,
    ASK_CERTS,        // the certificates in force; the answer's text is JSON
    ASK_CERTS_RELOAD, // read certificates again and nothing else; JSON as well, unless it fails
};

enum query { QUERY_SESSIONS };

#define CHANNEL_FDS_MAX 64

struct message {
    uint32_t type, arg;
    uint32_t request, status, value, n_more;
    uint32_t n_fds;
    uint32_t id[CHANNEL_FDS_MAX];
};

// Sends one, with its n_fds descriptors (which stay open here). 0 or -errno; -EAGAIN: the other
// side does not read.
int channel_send(int fd, const struct message *m, const int *fds) MUST_CHECK;
// Receives one; fds[0..m->n_fds) belong to the caller. 1: got one; 0: nothing there; -EMFILE: got
// one, but there was no room for its descriptors, which are lost (m->n_fds is 0): the channel goes
// on; -EPIPE: the other side is gone; other -errno.
int channel_receive(int fd, struct message *m, int fds[CHANNEL_FDS_MAX]) MUST_CHECK;
// A sealed memfd that holds the text, or -errno. For fds[0] of a message.
int channel_text(struct str text) MUST_CHECK;
// Maps such a memfd for reading and closes it. False: it is not one. channel_text_done() unmaps.
bool channel_text_map(int fd, struct str *text) MUST_CHECK;
// The same for one of somebody who is less trusted: false also when it is longer than `most`.
bool channel_text_map_most(int fd, size_t most, struct str *text) MUST_CHECK;
void channel_text_done(struct str text);

#endif

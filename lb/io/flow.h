// SPDX-License-Identifier: MIT
// The only pump: bytes from one connection through a buffer to another. Layer 4, bodies and tunnels
// all use it. What belongs to the message is said by a scanner; without one, everything does.
//
//   src --recv--> buf: | kept, sent | ready, not sent | held back | room |  --send--> dst
//                      0           sent             ready
//
// (offsets from buf.head). `kept` bytes stay only while the flow is to be replayed. `held` is the
// start of something that the scanner has not seen the end of, or the next message's.
#ifndef EVLB_FLOW_H
#define EVLB_FLOW_H

#include "base/buf.h"
#include "io/conn.h"

// Looks at bytes[0..n) and rewrites in place: *in bytes are read, *out <= *in of them (at the
// front) go on; *done: the message is complete after these. False: they break the rules.
typedef bool flow_scan(void *ctx, char *bytes, size_t n, size_t *in, size_t *out, bool *done);
// How many bytes may pass unseen (splice), and the note that they did.
typedef uint64_t flow_opaque(void *ctx);
typedef void flow_skip(void *ctx, uint64_t n);

struct flow_scanner {
    flow_scan *scan;
    flow_opaque *opaque;
    flow_skip *skip;
};

struct flow {
    struct buf first; // goes before buf: the rest of a head that was not taken whole
    struct buf buf;
    uint32_t sent, ready;               // offsets from buf.head; sent <= ready
    const struct flow_scanner *scanner; // NULL: raw bytes until the source ends
    void *scan_ctx;
    int pipe[2];        // while splicing, else -1
    uint32_t piped;     // bytes in the pipe
    uint64_t passed;    // bytes taken by the destination
    uint64_t splice_at; // value of `passed` from which on a pipe is worth it
    bool bulk;          // the last read filled an ordinary buffer: larger ones pay
    bool keep;          // do not give up what was sent: it may be sent again
    bool done;          // the scanner has seen the end
    bool bad;           // the scanner has refused: nothing is scanned or read any more
    bool src_eof;       // the source has ended
    bool src_broken;    // not in order (reset)
};

enum flow_result {
    FLOW_WAIT_SRC, // all there is has been passed on
    FLOW_WAIT_DST, // the destination is full
    FLOW_DONE,     // the message is complete and passed on
    FLOW_EOF,      // the source ended; all was passed on (with a scanner: before `done`)
    FLOW_YIELD,    // enough for this turn: all was passed on, the source has more
    FLOW_SRC_ERR,  // the source broke; all before it was passed on
    FLOW_DST_ERR,
    FLOW_BAD, // the scanner refused
    FLOW_NO_MEMORY,
};

void flow_init(struct flow *f);
// Frees buffers and pipe.
void flow_release(struct flow *f);
// Moves what can be moved, up to a budget, and says why it stopped. After FLOW_BAD it says that
// again.
enum flow_result flow_pump(struct flow *f, struct conn *src, struct conn *dst) MUST_CHECK;
// Lets the scanner look at what is in the buffer but not ready yet. False: refused.
bool flow_scan_buffer(struct flow *f) MUST_CHECK;
// Sends what is ready and reads nothing. IO_OK: all was taken.
enum io flow_flush(struct flow *f, struct conn *dst) MUST_CHECK;
// Bytes waiting to be sent.
size_t flow_unsent(const struct flow *f);
// Notes that `n` of the unsent bytes (first, then buf) were taken.
void flow_taken(struct flow *f, size_t n);
// Reads once into the buffer, which may grow to `most` bytes (0: it stays as it is); IO_OK also
// when there was no room for more. IO_ERR without f->src_eof: out of memory.
enum io flow_fill(struct flow *f, struct conn *src, uint32_t most) MUST_CHECK;

#endif

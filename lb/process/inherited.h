// SPDX-License-Identifier: MIT
// What a new binary (upgrade.h) is told by the old one besides its sockets: one text in a sealed
// memfd, whose number is in the environment. It holds what no file says: servers added and removed
// at run time, and what the board knows of all servers.
//
//   evlb 1                                                            version of this format
//   overlay add app/c 10.0.0.13:8080 weight=2                         a line of conf/overlay.h
//   ticket bmFtZQ...                                                  a key (io/tls_tickets.h), the
//                                                                     one in use first
//   backend app switched=1
//   server app/a 10.0.0.11:8080 weight 1: state=4 admin=2 ... reason  what was said or found out
#ifndef EVLB_INHERITED_H
#define EVLB_INHERITED_H

#include "base/buf.h"
#include "conf/config.h"
#include "core/board.h"
#include "io/tls_tickets.h"

#define INHERITED_FD "EVLB_INHERITED_FD"

// In the old supervisor. `tickets` NULL: none. False: out of memory.
bool inherited_write(const struct config *config, const struct board *board,
                     const struct tls_tickets *tickets, struct buf *out) MUST_CHECK;

// In the new one, before anything else takes descriptors: maps the text that this process was
// given; STR_NONE: none. To be given back with channel_text_done().
struct str inherited_read(void) MUST_CHECK;
// The lines for config_source.overlay, in `a`.
struct str inherited_overlay(struct str text, struct arena *a) MUST_CHECK;
// The keys of tickets. False: there are none.
bool inherited_tickets(struct str text, struct ticket_key keys[TICKET_KEYS]) MUST_CHECK;
// Sets the words of the servers and backends that are the same still, by names and address. After
// slots were given out, before any child runs.
void inherited_apply(struct str text, const struct config *config, struct board *board);

#endif

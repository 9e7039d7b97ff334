// SPDX-License-Identifier: MIT
// Passive health: what real traffic shows of a server. A server that cannot be connected to is
// skipped at once, for 1 s, then 2, 4, ... 30 s, and tried again by traffic. After `passive.errors`
// failures in a row it is suspect: control is asked for a check, which decides; with `health: off`
// nobody can, and the server is left out for `passive.eject`, growing by its own length up to 5
// min.
//
// Never skipped: more than half of the usable servers of a tier, thus never the only one.
#ifndef EVLB_SUSPECT_H
#define EVLB_SUSPECT_H

#include "conf/config.h"
#include "core/board.h"

#define SUSPECT_FIRST_MS 1000u
#define SUSPECT_LONGEST_MS 30000u
#define SUSPECT_EJECT_LONGEST_MS 300000u

enum suspect_kind {
    SUSPECT_CONNECT, // no connection came about
    SUSPECT_ANSWER,  // a fresh connection broke or timed out without any answer
};

// What the caller has to do: bits.
enum suspect_news {
    SUSPECT_SKIPPED = 1, // a skip began: say so once
    SUSPECT_CHECK = 2,   // wake control: it is to check this server at once
};

// A failure. Several workers may say so at once; while the server is being skipped, only the
// failure that makes it suspect lengthens the time. Returns bits of enum suspect_news; 0 always
// with `passive: off`.
unsigned suspect_failed(struct board *b, const struct server *s, enum suspect_kind kind,
                        uint64_t now_ms) MUST_CHECK;
// It works: an answer came (mode tcp: a connection), or control knows it from the check that it was
// asked for or from its coming up. Ends skip and row. Returns true when this ended a skip.
bool suspect_succeeded(struct board *b, const struct server *s);
bool suspect_skipped(const struct board *b, uint32_t server, uint64_t now_ms);

#endif

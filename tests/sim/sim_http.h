// SPDX-License-Identifier: MIT
// Whole HTTP dialogues that play themselves: a server that answers by path, a client that sends
// piece after piece and reads every answer, and the promises that hold whatever goes wrong.
#ifndef EVLB_SIM_HTTP_H
#define EVLB_SIM_HTTP_H

#include "sim.h"

#define DIALOGUE_REQUESTS 6
#define DIALOGUE_PIECES 8

struct dialogue {
    const char *name;
    const char *yaml; // "": one server
    // What is asked for, in order; the path says how the server answers:
    //   /len /chunked /close /early /204 /100 /tunnel /big /last (Connection: close)
    //   /idle (closes when the client asks for the next)
    struct {
        const char *method, *path;
    } request[DIALOGUE_REQUESTS];
    // What the client sends, each piece when so many answers (interim ones count) have come.
    struct {
        int after;
        const char *text;
    } piece[DIALOGUE_PIECES];
    int answers;                   // that come when nothing goes wrong, interim ones included
    bool http10;                   // of the client
    bool racy;                     // sends a POST on a connection that the server may have closed
    bool local;                    // answered by evlb itself: not all ends are END_OK
    void (*setup)(struct sim *t);  // before anything is sent
    void (*finish)(struct sim *t); // after everything went well
};

// What a run may break, and how connections behave.
struct run {
    enum sim_fault fault;
    uint64_t fault_at;
    size_t read_most, write_most, refill;
    // Reloads, to another server and back: in this turn; then again every so many turns (0: not).
    int reload_turn, reload_every;
    bool tls_client, tls_server, tls12; // who speaks TLS
};

// Plays it and checks the promises: no busy loop, nothing leaked, an end for everything, a POST
// reaches servers at most once, answers in order, none that looks complete and is not; without a
// fault also that everything arrived. Returns false when the fault was never reached.
bool dialogue_run(const struct dialogue *d, const struct run *r);
// Tests of dialogues say what was being played when they fail.
int dialogue_teardown(void **state);
#define DIALOGUE_TEST(f) cmocka_unit_test_teardown(f, dialogue_teardown)

#endif

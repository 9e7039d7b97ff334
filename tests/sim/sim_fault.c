// SPDX-License-Identifier: MIT
// Faults by number: every call of the transport is counted, over all connections, and one of them
// may be told to fail. A test that drives a dialogue with a fault at call 1, 2, 3, ... until the
// dialogue ends before the fault is reached has failed every call there is.
#include "sim.h"

void sim_fault_at(struct sim *t, uint64_t n, enum sim_fault fault)
{
    t->fault_at = n == 0 ? 0 : t->calls + n;
    t->fault = fault;
    t->fault_peer = -1;
}

enum sim_fault sim_fault_now(struct sim *t, int peer)
{
    t->calls++;
    if (t->calls != t->fault_at)
        return FAULT_NONE;
    t->fault_peer = peer;
    return t->fault;
}

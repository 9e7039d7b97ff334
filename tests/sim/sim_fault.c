// SPDX-License-Identifier: MIT
// Faults by number: every call of the transport is counted, over all connections, and one of them
// may be told to fail. A test that drives a dialogue with a fault at call 1, 2, 3, ... until the
// dialogue ends before the fault is reached has failed every call there is.
#include "sim.h"

// The linker sends every malloc() of the program to the first and gives the real one as the second
// (--wrap in tests/CMakeLists.txt).
void *__wrap_malloc(size_t size);
void *__real_malloc(size_t size);

static uint64_t mallocs_left; // until one fails; 0: none will
static struct sim *without_memory;

void *__wrap_malloc(size_t size)
{
    if (mallocs_left == 0 || --mallocs_left > 0)
        return __real_malloc(size);
    without_memory->faulted = true;
    return NULL;
}

uint64_t sim_mallocs(uint64_t left)
{
    uint64_t before = mallocs_left;
    mallocs_left = left;
    return before;
}

void sim_fault_at(struct sim *t, uint64_t n, enum sim_fault fault)
{
    bool memory = fault == FAULT_NO_MEMORY;
    mallocs_left = memory ? n : 0;
    without_memory = t;
    t->fault_at = n == 0 || memory ? 0 : t->calls + n;
    t->fault = fault;
    t->faulted = false;
    t->fault_peer = -1;
}

enum sim_fault sim_fault_now(struct sim *t, int peer)
{
    t->calls++;
    if (t->calls != t->fault_at)
        return FAULT_NONE;
    t->faulted = true;
    t->fault_peer = peer;
    return t->fault;
}

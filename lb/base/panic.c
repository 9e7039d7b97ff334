// SPDX-License-Identifier: MIT
// Panic and flight recorder. Runs in every process. A panic writes straight to descriptor 2 with
// write(2): the process is about to end, so blocking is allowed and nothing may be allocated.
// Invariants: panic_note() never allocates or calls the kernel; the ring holds the last
// PANIC_RING events with a running number, so that a reader sees the order.
#include "base/panic.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PANIC_RING 64

struct panic_event {
    const char *what;
    uint64_t a, b;
};

static struct panic_event ring[PANIC_RING];
static uint64_t ring_next;
static const char *process_name = "evlb";

void panic_note(const char *what, uint64_t a, uint64_t b)
{
    ring[ring_next++ % PANIC_RING] = (struct panic_event){what, a, b};
}

void panic_set_process(const char *name)
{
    process_name = name;
}

static void put(const char *text, int length)
{
    if (length > 0 && write(STDERR_FILENO, text, (size_t)length) < 0)
        return; // nobody is left to tell
}

static void print_ring(void)
{
    char line[160];
    uint64_t first = ring_next > PANIC_RING ? ring_next - PANIC_RING : 0;
    for (uint64_t i = first; i < ring_next; i++) {
        const struct panic_event *e = &ring[i % PANIC_RING];
        put(line, snprintf(line, sizeof(line), "  #%llu %s %llu %llu\n", (unsigned long long)i,
                           e->what, (unsigned long long)e->a, (unsigned long long)e->b));
    }
}

void lb_panic(const char *file, int line, const char *what)
{
    char text[512];
    put(text, snprintf(text, sizeof(text), "PANIC in %s (pid %d): %s:%d: %s; the last events:\n",
                       process_name, (int)getpid(), file, line, what));
    print_ring();
    abort();
}

static void on_fatal_signal(int signo)
{
    char text[128];
    put(text, snprintf(text, sizeof(text), "PANIC in %s (pid %d): signal %d; the last events:\n",
                       process_name, (int)getpid(), signo));
    print_ring();
    raise(signo); // the handler was reset, so this one kills
}

void panic_catch_signals(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_handler = on_fatal_signal, .sa_flags = (int)SA_RESETHAND};
    for (size_t i = 0; i < ARRAY_LEN(fatal); i++)
        (void)sigaction(fatal[i], &action, NULL);
}

static void *checked(void *memory)
{
    if (memory == NULL)
        lb_panic(__FILE__, __LINE__, "out of memory");
    return memory;
}

void *xmalloc(size_t size)
{
    return checked(malloc(size > 0 ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return checked(calloc(count > 0 ? count : 1, size > 0 ? size : 1));
}

void *xrealloc(void *old, size_t size)
{
    return checked(realloc(old, size > 0 ? size : 1));
}

char *xstrdup(const char *text)
{
    return checked(strdup(text));
}

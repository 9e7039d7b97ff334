// SPDX-License-Identifier: MIT
// The shared mapping. Made by the supervisor before it forks, so that it lies at the same address
// in every process and ends with the last of them; there is no name in a file system to clean up.
//
//   | board | process table | logger's sleep word | rings: supervisor, control, workers, access |
//
// Invariant: each part begins at a multiple of 64 bytes.
#include "process/shared.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/tls_tickets.h"
#include "process/slots.h"

#define LOG_RING_BYTES (64u * 1024)
#define ACCESS_RING_BYTES (1024u * 1024)

static size_t aligned(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

static size_t bytes_needed(const struct board_dim *dim)
{
    size_t seats = dim->workers;
    return aligned(board_bytes(dim)) + aligned(process_table_bytes(dim->workers)) +
           aligned(sizeof(struct ring_sleep)) + (2 + seats) * ring_bytes(LOG_RING_BYTES) +
           seats * ring_bytes(ACCESS_RING_BYTES);
}

static void *take(char **at, size_t bytes)
{
    void *part = *at;
    *at += aligned(bytes);
    return part;
}

static void take_ring(struct shared *s, char **at, struct ring *ring, uint32_t size)
{
    ring_init(ring, take(at, ring_bytes(size)), size, s->sleep, s->wake_fd);
}

static void lay_out(struct shared *s, const struct board_dim *dim)
{
    char *at = s->memory;
    s->board = board_init(take(&at, board_bytes(dim)), dim);
    s->table = take(&at, process_table_bytes(s->seats));
    s->table->workers = s->seats - 1; // the free seat shows when it is used for the first time
    s->sleep = take(&at, sizeof(*s->sleep));
    take_ring(s, &at, &s->supervisor_log, LOG_RING_BYTES);
    take_ring(s, &at, &s->control_log, LOG_RING_BYTES);
    s->worker_log = xcalloc(s->seats, sizeof(*s->worker_log));
    s->access_log = xcalloc(s->seats, sizeof(*s->access_log));
    for (uint32_t i = 0; i < s->seats; i++) {
        take_ring(s, &at, &s->worker_log[i], LOG_RING_BYTES);
        take_ring(s, &at, &s->access_log[i], ACCESS_RING_BYTES);
    }
    lb_assert(at <= (char *)s->memory + s->bytes);
}

static void close_wakes(struct shared *s, uint32_t workers)
{
    for (uint32_t i = 0; i < workers; i++) {
        if (s->worker_wake[i] >= 0)
            (void)close(s->worker_wake[i]);
    }
    if (s->control_wake >= 0)
        (void)close(s->control_wake);
    free(s->worker_wake);
}

static bool open_wakes(struct shared *s, uint32_t workers)
{
    s->worker_wake = xmalloc(workers * sizeof(*s->worker_wake));
    bool fine = (s->control_wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0;
    for (uint32_t i = 0; i < workers; i++)
        fine = (s->worker_wake[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0 && fine;
    if (!fine)
        close_wakes(s, workers);
    return fine;
}

static struct tls_tickets *map_tickets(void)
{
    void *at = mmap(NULL, sizeof(struct tls_tickets), PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return NULL;
    (void)madvise(at, sizeof(struct tls_tickets), MADV_DONTDUMP);
    if (tls_tickets_init(at))
        return at;
    (void)munmap(at, sizeof(struct tls_tickets));
    return NULL;
}

void shared_forget_tickets(struct shared *s)
{
    if (s->tickets != NULL)
        (void)munmap(s->tickets, sizeof(*s->tickets));
    s->tickets = NULL;
}

struct shared *shared_new(const struct config *config, uint32_t workers)
{
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0)
        return NULL;
    const struct board_dim dim = slots_dim(config, workers + 1);
    size_t bytes = bytes_needed(&dim);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        (void)close(wake_fd);
        return NULL;
    }
    struct shared *s = xcalloc(1, sizeof(*s));
    if (!open_wakes(s, dim.workers)) {
        (void)munmap(memory, bytes);
        (void)close(wake_fd);
        free(s);
        return NULL;
    }
    s->memory = memory;
    s->bytes = bytes;
    s->seats = dim.workers;
    s->wake_fd = wake_fd;
    s->tickets = map_tickets();
    lay_out(s, &dim);
    return s;
}

void shared_free(struct shared *s)
{
    if (s == NULL)
        return;
    shared_forget_tickets(s);
    (void)munmap(s->memory, s->bytes);
    (void)close(s->wake_fd);
    close_wakes(s, s->seats);
    free(s->worker_log);
    free(s->access_log);
    free(s);
}

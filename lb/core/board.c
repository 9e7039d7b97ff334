// SPDX-License-Identifier: MIT
// The layout of the board. board_bytes() and board_init() run in the supervisor before the first
// fork (the map has one address in all processes, so the board holds plain pointers);
// board_reclaim() runs there when a worker has died. Everything a worker does is inline in board.h.
// Invariants: every array begins on a cache line, and no cache line holds words of two workers'
// shares or counters; the sum of all workers' shares of a gauge is its total whenever nobody is
// inside board_claim() or board_release().
//
//   | board | total | share of 0 | of 1 .. | cursors | servers | queues | queue heads | generations
//   | suspects | counters of 0 | of 1 ..
#include "core/board.h"

#define LINE_BYTES ((size_t)64)

// Hands out the board's memory piece by piece; with base NULL it only counts.
struct cutter {
    char *base;
    size_t used;
};

static void *cut(struct cutter *c, size_t count, size_t size)
{
    void *piece = c->base != NULL ? c->base + c->used : NULL;
    c->used += (count * size + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
    return piece;
}

static struct board_counters cut_counters(struct cutter *c, const struct board_dim *dim)
{
    return (struct board_counters){
        .frontends = cut(c, dim->frontends, sizeof(struct frontend_counters)),
        .backends = cut(c, dim->backends, sizeof(uint64_t[BACKEND_COUNTER_COUNT])),
        .servers = cut(c, dim->servers, sizeof(uint64_t[SERVER_COUNTER_COUNT])),
    };
}

// Returns what the board's header holds; *counters is where the workers' headers go.
static struct board cut_board(struct cutter *c, const struct board_dim *dim)
{
    struct board b = {.dim = *dim};
    const size_t per_line = LINE_BYTES / sizeof(*b.share);
    b.share_stride = (uint32_t)((board_slots(&b) + per_line - 1) / per_line * per_line);
    b.total = cut(c, board_slots(&b), sizeof(*b.total));
    b.share = cut(c, (size_t)dim->workers * b.share_stride, sizeof(*b.share));
    b.cursor = cut(c, dim->backends, sizeof(*b.cursor));
    b.server = cut(c, dim->servers, sizeof(*b.server));
    b.queue = cut(c, dim->backends, sizeof(*b.queue));
    b.queue_head = cut(c, (size_t)dim->workers * dim->backends, sizeof(*b.queue_head));
    b.generation = cut(c, dim->workers, sizeof(*b.generation));
    b.suspect = cut(c, dim->servers, sizeof(*b.suspect));
    b.counters = cut(c, dim->workers, sizeof(*b.counters));
    return b;
}

size_t board_bytes(const struct board_dim *dim)
{
    struct cutter c = {NULL, 0};
    (void)cut(&c, 1, sizeof(struct board));
    (void)cut_board(&c, dim);
    for (uint32_t w = 0; w < dim->workers; w++)
        (void)cut_counters(&c, dim);
    return c.used;
}

struct board *board_init(void *memory, const struct board_dim *dim)
{
    lb_assert((uintptr_t)memory % LINE_BYTES == 0);
    struct cutter c = {memory, 0};
    struct board *b = cut(&c, 1, sizeof(*b));
    *b = cut_board(&c, dim);
    for (uint32_t w = 0; w < dim->workers; w++)
        b->counters[w] = cut_counters(&c, dim);
    lb_assert(c.used == board_bytes(dim));
    return b;
}

uint32_t board_reclaim(struct board *b, uint32_t worker)
{
    lb_assert(worker < b->dim.workers);
    uint32_t taken = 0;
    for (uint32_t i = 0; i < b->dim.backends; i++)
        atomic_store(board_queue_head(b, worker, i), 0);
    for (uint32_t slot = 0; slot < board_slots(b); slot++) {
        uint32_t held =
            atomic_exchange_explicit(board_share(b, worker, slot), 0, memory_order_relaxed);
        if (held == 0)
            continue;
        atomic_fetch_sub_explicit(&b->total[slot], held, memory_order_relaxed);
        taken += held;
    }
    return taken;
}

// ---- addresses --------------------------------------------------------------------------------

#define READ_TRIES 1000

void board_addr_read(const struct board *b, uint32_t server, struct addr *out)
{
    const struct board_server *s = &b->server[server];
    for (int i = 0; i < READ_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&s->addr_version, memory_order_acquire);
        if (before == 0)
            break;
        memcpy(out, &s->addr, sizeof(*out));
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 &&
            atomic_load_explicit(&s->addr_version, memory_order_relaxed) == before)
            return;
    }
    out->len = 0;
}

void board_addr_write(struct board *b, uint32_t server, const struct addr *addr)
{
    struct board_server *s = &b->server[server];
    uint32_t version = atomic_load(&s->addr_version) | 1; // odd already when a writer has died
    atomic_store(&s->addr_version, version);
    atomic_thread_fence(memory_order_release);
    memcpy(&s->addr, addr, sizeof(*addr));
    atomic_store_explicit(&s->addr_version, version + 1, memory_order_release);
}

// ---- slots that change hands ------------------------------------------------------------------

void board_reset_server(struct board *b, uint32_t slot)
{
    lb_assert(board_total(b, board_server_slot(slot)) == 0);
    memset(&b->server[slot], 0, sizeof(b->server[slot]));
    memset(&b->suspect[slot], 0, sizeof(b->suspect[slot]));
    for (uint32_t w = 0; w < b->dim.workers; w++)
        memset(b->counters[w].servers[slot], 0, sizeof(b->counters[w].servers[slot]));
}

void board_reset_backend(struct board *b, uint32_t slot)
{
    lb_assert(board_total(b, board_queue_slot(b, slot)) == 0);
    memset(&b->cursor[slot], 0, sizeof(b->cursor[slot]));
    memset(&b->queue[slot], 0, sizeof(b->queue[slot]));
    for (uint32_t w = 0; w < b->dim.workers; w++)
        memset(b->counters[w].backends[slot], 0, sizeof(b->counters[w].backends[slot]));
}

void board_reset_frontend(struct board *b, uint32_t slot)
{
    lb_assert(board_total(b, board_frontend_slot(b, slot)) == 0);
    for (uint32_t w = 0; w < b->dim.workers; w++)
        memset(&b->counters[w].frontends[slot], 0, sizeof(b->counters[w].frontends[slot]));
}

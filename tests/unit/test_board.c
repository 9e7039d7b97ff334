// SPDX-License-Identifier: MIT
// The board: its layout, and gauges that survive the death of a worker.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/board.h"

static struct board *open_board(const struct board_dim *dim)
{
    void *memory =
        mmap(NULL, board_bytes(dim), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    return board_init(memory, dim);
}

static void close_board(struct board *b)
{
    assert_int_equal(munmap(b, board_bytes(&b->dim)), 0);
}

// One array of the board: whole cache lines, all zero, inside of the memory.
struct span {
    const volatile void *begin;
    size_t size;
};

static void expect_piece(const struct board *b, struct span *last, struct span piece)
{
    const volatile char *begin = piece.begin, *end_of_last = last->begin;
    end_of_last += last->size;
    assert_int_equal((uintptr_t)begin % 64, 0);
    assert_true(begin >= end_of_last);
    assert_true(begin + piece.size <= (const volatile char *)b + board_bytes(&b->dim));
    for (size_t i = 0; i < piece.size; i++)
        assert_int_equal(begin[i], 0);
    *last = piece;
}

static void expect_layout(const struct board_dim *dim)
{
    struct board *b = open_board(dim);
    struct span last = {b, sizeof(*b)};
    expect_piece(b, &last, (struct span){b->total, board_slots(b) * 4});
    for (uint32_t w = 0; w < dim->workers; w++)
        expect_piece(b, &last, (struct span){board_share(b, w, 0), board_slots(b) * 4});
    expect_piece(b, &last, (struct span){b->cursor, dim->backends * sizeof(*b->cursor)});
    expect_piece(b, &last, (struct span){b->server, dim->servers * sizeof(*b->server)});
    expect_piece(b, &last, (struct span){b->queue, dim->backends * sizeof(*b->queue)});
    expect_piece(b, &last,
                 (struct span){board_queue_head(b, 0, 0),
                               (size_t)dim->workers * dim->backends * sizeof(*b->queue_head)});
    expect_piece(b, &last, (struct span){b->generation, dim->workers * sizeof(*b->generation)});
    expect_piece(b, &last, (struct span){b->suspect, dim->servers * sizeof(*b->suspect)});
    last = (struct span){b->counters, dim->workers * sizeof(*b->counters)};
    for (uint32_t w = 0; w < dim->workers; w++) {
        const struct board_counters *c = &b->counters[w];
        assert_int_equal((uintptr_t)c % 64, 0);
        expect_piece(b, &last, (struct span){c->frontends, dim->frontends * sizeof(*c->frontends)});
        expect_piece(b, &last, (struct span){c->backends, dim->backends * sizeof(*c->backends)});
        expect_piece(b, &last, (struct span){c->servers, dim->servers * sizeof(*c->servers)});
    }
    close_board(b);
}

static void pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    expect_layout(&(struct board_dim){1, 1, 1, 1});
    expect_layout(&(struct board_dim){3, 17, 2, 5});
    expect_layout(&(struct board_dim){64, 1000, 100, 20});
    expect_layout(&(struct board_dim){2, 0, 0, 0});
}

static void slots_do_not_meet(void **state)
{
    (void)state;
    struct board *b = open_board(&(struct board_dim){1, 3, 1, 2});
    assert_int_equal(board_server_slot(2), 2);
    assert_int_equal(board_frontend_slot(b, 0), 3);
    assert_int_equal(board_frontend_slot(b, 1), 4);
    assert_int_equal(board_queue_slot(b, 0), 5);
    assert_int_equal(board_process_slot(b), 6);
    assert_int_equal(board_slots(b), 7);
    close_board(b);
}

static void claims_and_releases_add_up(void **state)
{
    (void)state;
    struct board *b = open_board(&(struct board_dim){2, 2, 1, 1});
    board_claim(b, 0, 1);
    board_claim(b, 1, 1);
    board_claim(b, 1, board_process_slot(b));
    assert_int_equal(board_total(b, 1), 2);
    assert_int_equal(board_total(b, 0), 0);
    assert_int_equal(board_total(b, board_process_slot(b)), 1);
    board_release(b, 0, 1);
    assert_int_equal(board_total(b, 1), 1);
    board_release(b, 1, 1);
    board_release(b, 1, board_process_slot(b));
    for (uint32_t slot = 0; slot < board_slots(b); slot++)
        assert_int_equal(board_total(b, slot), 0);
    assert_int_equal(board_reclaim(b, 0) + board_reclaim(b, 1), 0);
    close_board(b);
}

static void reclaim_takes_only_the_dead_workers_share(void **state)
{
    (void)state;
    struct board *b = open_board(&(struct board_dim){3, 4, 1, 1});
    for (uint32_t slot = 0; slot < board_slots(b); slot++)
        for (uint32_t k = 0; k <= slot; k++)
            board_claim(b, 1, slot);
    board_claim(b, 0, 2);
    board_claim(b, 2, 2);
    assert_int_equal(board_reclaim(b, 1), 1 + 2 + 3 + 4 + 5 + 6 + 7);
    assert_int_equal(board_total(b, 2), 2);
    assert_int_equal(board_total(b, 5), 0);
    assert_int_equal(board_reclaim(b, 1), 0);
    board_claim(b, 1, 2); // its successor begins at zero
    board_release(b, 1, 2);
    board_release(b, 0, 2);
    board_release(b, 2, 2);
    assert_int_equal(board_total(b, 2), 0);
    close_board(b);
}

// A worker that claims, says so, and waits for its end.
static pid_t start_claimer(struct board *b, uint32_t worker, int ready_fd)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        for (uint32_t k = 0; k < 1000; k++)
            board_claim(b, worker, k % board_slots(b));
        for (uint32_t k = 0; k < 300; k++)
            board_release(b, worker, k % board_slots(b));
        if (write(ready_fd, "", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    return child;
}

static void a_killed_workers_units_come_back(void **state)
{
    (void)state;
    struct board *b = open_board(&(struct board_dim){2, 3, 1, 1});
    int ready[2], status;
    char byte;
    assert_int_equal(pipe(ready), 0);
    board_claim(b, 0, 1);
    pid_t child = start_claimer(b, 1, ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));

    uint32_t sum = 0;
    for (uint32_t slot = 0; slot < board_slots(b); slot++)
        sum += board_total(b, slot);
    assert_int_equal(sum, 701);
    assert_int_equal(board_reclaim(b, 1), 700);
    for (uint32_t slot = 0; slot < board_slots(b); slot++)
        assert_int_equal(board_total(b, slot), slot == 1);
    board_release(b, 0, 1);
    assert_int_equal(close(ready[0]) + close(ready[1]), 0);
    close_board(b);
}

// Killed at any instruction, again and again: a total may be one too high each time, never below
// what the living hold.
static void a_kill_at_any_moment_leaves_no_total_too_low(void **state)
{
    (void)state;
    enum { KILLS = 60 };
    struct board *b = open_board(&(struct board_dim){2, 1, 1, 1});
    board_claim(b, 0, 0);
    for (int k = 0; k < KILLS; k++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            for (;;) {
                board_claim(b, 1, 0);
                board_release(b, 1, 0);
            }
        }
        assert_int_equal(usleep(500 + (unsigned)k * 7), 0);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        (void)board_reclaim(b, 1);
        assert_in_range(board_total(b, 0), 1, 2 + (unsigned)k);
    }
    close_board(b);
}

static void concurrent_claims_add_up(void **state)
{
    (void)state;
    enum { WORKERS = 4, ROUNDS = 20000 };
    struct board *b = open_board(&(struct board_dim){WORKERS, 2, 1, 1});
    pid_t children[WORKERS];
    for (uint32_t w = 0; w < WORKERS; w++) {
        children[w] = fork();
        assert_true(children[w] >= 0);
        if (children[w] != 0)
            continue;
        for (int k = 0; k < ROUNDS; k++) {
            board_claim(b, w, 1);
            if (k % 4 != 0)
                board_release(b, w, 1);
        }
        _exit(0);
    }
    for (uint32_t w = 0; w < WORKERS; w++)
        assert_int_equal(waitpid(children[w], NULL, 0), children[w]);
    assert_int_equal(board_total(b, 1), WORKERS * ROUNDS / 4);
    for (uint32_t w = 0; w < WORKERS; w++)
        assert_int_equal(board_reclaim(b, w), ROUNDS / 4);
    assert_int_equal(board_total(b, 1), 0);
    close_board(b);
}

// ---- claims up to a limit ---------------------------------------------------------------------

static void claims_end_at_the_limit(void **state)
{
    (void)state;
    struct board *b = open_board(&(struct board_dim){2, 2, 1, 1});
    assert_false(board_claim_below(b, 0, 1, 0));
    assert_true(board_claim_below(b, 0, 1, 2));
    assert_true(board_claim_below(b, 1, 1, 2));
    assert_false(board_claim_below(b, 0, 1, 2));
    assert_true(board_claim_below(b, 0, 1, UINT32_MAX));
    assert_int_equal(board_total(b, 1), 3); // above a limit that was lowered
    assert_false(board_claim_below(b, 1, 1, 2));
    assert_int_equal(atomic_load(board_share(b, 0, 1)), 2);
    assert_int_equal(atomic_load(board_share(b, 1, 1)), 1);
    assert_int_equal(board_total(b, 0), 0);
    board_release(b, 0, 1);
    board_release(b, 0, 1);
    assert_true(board_claim_below(b, 1, 1, 2));
    assert_int_equal(board_reclaim(b, 1), 2);
    assert_int_equal(board_total(b, 1), 0);
    close_board(b);
}

// More hands than room: nobody sees more in progress than is allowed, and all room is found.
static void concurrent_claims_stay_below_the_limit(void **state)
{
    (void)state;
    enum { WORKERS = 4, ROUNDS = 20000, MOST = 3 };
    struct board *b = open_board(&(struct board_dim){WORKERS, 2, 1, 1});
    pid_t children[WORKERS];
    for (uint32_t w = 0; w < WORKERS; w++) {
        children[w] = fork();
        assert_true(children[w] >= 0);
        if (children[w] != 0)
            continue;
        bool good = true;
        for (int k = 0; k < ROUNDS; k++) {
            if (!board_claim_below(b, w, 1, MOST))
                continue;
            good &= board_total(b, 1) <= MOST;
            board_release(b, w, 1);
        }
        while (board_claim_below(b, w, 1, MOST))
            continue;
        _exit(good ? 0 : 1);
    }
    for (uint32_t w = 0; w < WORKERS; w++) {
        int status;
        assert_int_equal(waitpid(children[w], &status, 0), children[w]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    assert_int_equal(board_total(b, 1), MOST);
    uint32_t taken = 0;
    for (uint32_t w = 0; w < WORKERS; w++)
        taken += board_reclaim(b, w);
    assert_int_equal(taken, MOST);
    assert_int_equal(board_total(b, 1), 0);
    close_board(b);
}

// ---- queues -----------------------------------------------------------------------------------

static void a_dead_workers_places_in_queues_are_taken_back(void **state)
{
    (void)state;
    struct board *b = open_board(&(struct board_dim){3, 1, 2, 1});
    for (uint32_t w = 0; w < 3; w++)
        for (uint32_t backend = 0; backend < 2; backend++) {
            atomic_store(board_queue_head(b, w, backend), 10 * w + backend + 1);
            board_claim(b, w, board_queue_slot(b, backend));
        }
    assert_int_equal(board_reclaim(b, 1), 2);
    for (uint32_t backend = 0; backend < 2; backend++) {
        assert_int_equal(atomic_load(board_queue_head(b, 0, backend)), backend + 1);
        assert_int_equal(atomic_load(board_queue_head(b, 1, backend)), 0);
        assert_int_equal(atomic_load(board_queue_head(b, 2, backend)), 20 + backend + 1);
        assert_int_equal(board_total(b, board_queue_slot(b, backend)), 2);
    }
    close_board(b);
}

// ---- addresses --------------------------------------------------------------------------------

static struct addr address_of(uint32_t n)
{
    struct addr a = {.len = sizeof(struct sockaddr_in)};
    a.ip.v4.sin_family = AF_INET;
    a.ip.v4.sin_port = htons((uint16_t)(n % 65000));
    a.ip.v4.sin_addr.s_addr = htonl(n);
    return a;
}

static void addresses_are_read_as_they_were_written(void **state)
{
    (void)state;
    struct board *b = open_board(&(struct board_dim){1, 3, 1, 1});
    struct addr got, a = address_of(7), none = {0};
    got = a;
    board_addr_read(b, 1, &got);
    assert_int_equal(got.len, 0); // never written
    board_addr_write(b, 1, &a);
    board_addr_read(b, 1, &got);
    assert_true(addr_eq(&got, &a));
    board_addr_read(b, 0, &got);
    assert_int_equal(got.len, 0);
    board_addr_write(b, 1, &none);
    board_addr_read(b, 1, &got);
    assert_int_equal(got.len, 0);
    a = address_of(8);
    board_addr_write(b, 1, &a);
    board_addr_read(b, 1, &got);
    assert_true(addr_eq(&got, &a));
    assert_int_equal(atomic_load(&b->server[1].addr_version) % 2, 0);
    close_board(b);
}

static void a_writer_that_died_leaves_no_address_until_the_next(void **state)
{
    (void)state;
    struct board *b = open_board(&(struct board_dim){1, 1, 1, 1});
    struct addr got, a = address_of(7);
    board_addr_write(b, 0, &a);
    atomic_fetch_add(&b->server[0].addr_version, 1); // begun, never ended
    got = a;
    board_addr_read(b, 0, &got);
    assert_int_equal(got.len, 0);
    a = address_of(9);
    board_addr_write(b, 0, &a); // its successor
    board_addr_read(b, 0, &got);
    assert_true(addr_eq(&got, &a));
    assert_int_equal(atomic_load(&b->server[0].addr_version) % 2, 0);
    close_board(b);
}

// A reader beside a writer that never rests: every address is a whole one.
static void addresses_are_never_torn(void **state)
{
    (void)state;
    enum { READS = 200000 };
    struct board *b = open_board(&(struct board_dim){1, 1, 1, 1});
    struct addr a = address_of(1);
    int status;
    board_addr_write(b, 0, &a);
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        for (uint32_t n = 1;; n++) {
            a = address_of(n);
            board_addr_write(b, 0, &a);
        }
    }
    uint32_t seen = 0;
    for (int k = 0; k < READS; k++) {
        struct addr got;
        board_addr_read(b, 0, &got);
        if (got.len == 0)
            continue; // the writer was faster a thousand times
        uint32_t n = ntohl(got.ip.v4.sin_addr.s_addr);
        a = address_of(n);
        assert_true(addr_eq(&got, &a));
        seen++;
    }
    assert_true(seen > 0);
    assert_int_equal(kill(writer, SIGKILL), 0);
    assert_int_equal(waitpid(writer, &status, 0), writer);
    close_board(b);
}

// ---- slots that change hands ------------------------------------------------------------------

static void fill_words(struct board *b)
{
    for (uint32_t i = 0; i < b->dim.servers; i++) {
        struct addr a = address_of(i + 1);
        atomic_store(&b->server[i].state, SERVER_MAINT);
        atomic_store(&b->server[i].admin, ADMIN_MAINT);
        board_addr_write(b, i, &a);
        atomic_store(&b->suspect[i].skip_until_ms, 99);
        for (uint32_t w = 0; w < b->dim.workers; w++)
            b->counters[w].servers[i][SERVER_REQUESTS] = 5;
    }
    for (uint32_t i = 0; i < b->dim.backends; i++) {
        atomic_store(&b->cursor[i].epoch, 5);
        atomic_store(&b->cursor[i].skips_until_ms, 5);
        atomic_store(&b->queue[i].ticket, 5);
        for (uint32_t w = 0; w < b->dim.workers; w++)
            b->counters[w].backends[i][BACKEND_RETRIES] = 5;
    }
    for (uint32_t i = 0; i < b->dim.frontends; i++)
        for (uint32_t w = 0; w < b->dim.workers; w++)
            b->counters[w].frontends[i].n[FRONTEND_REQUESTS] = 5;
}

static void expect_server(const struct board *b, uint32_t slot, bool fresh)
{
    struct addr got;
    board_addr_read(b, slot, &got);
    assert_int_equal(got.len > 0, !fresh);
    assert_int_equal(atomic_load(&b->server[slot].state), fresh ? SERVER_UP : SERVER_MAINT);
    assert_int_equal(atomic_load(&b->server[slot].admin), fresh ? ADMIN_READY : ADMIN_MAINT);
    assert_int_equal(atomic_load(&b->suspect[slot].skip_until_ms), fresh ? 0 : 99);
    for (uint32_t w = 0; w < b->dim.workers; w++)
        assert_int_equal(b->counters[w].servers[slot][SERVER_REQUESTS], fresh ? 0 : 5);
}

static void expect_backend(const struct board *b, uint32_t slot, bool fresh)
{
    assert_int_equal(atomic_load(&b->cursor[slot].epoch), fresh ? 0 : 5);
    assert_int_equal(atomic_load(&b->cursor[slot].skips_until_ms), fresh ? 0 : 5);
    assert_int_equal(atomic_load(&b->queue[slot].ticket), fresh ? 0 : 5);
    for (uint32_t w = 0; w < b->dim.workers; w++)
        assert_int_equal(b->counters[w].backends[slot][BACKEND_RETRIES], fresh ? 0 : 5);
}

static void a_slot_begins_like_a_fresh_one(void **state)
{
    (void)state;
    struct board *b = open_board(&(struct board_dim){2, 3, 3, 3});
    fill_words(b);
    board_reset_server(b, 1);
    board_reset_backend(b, 1);
    board_reset_frontend(b, 1);
    for (uint32_t i = 0; i < 3; i++) {
        expect_server(b, i, i == 1);
        expect_backend(b, i, i == 1);
        for (uint32_t w = 0; w < 2; w++)
            assert_int_equal(b->counters[w].frontends[i].n[FRONTEND_REQUESTS], i == 1 ? 0 : 5);
    }
    close_board(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(slots_do_not_meet),
        cmocka_unit_test(claims_and_releases_add_up),
        cmocka_unit_test(reclaim_takes_only_the_dead_workers_share),
        cmocka_unit_test(a_killed_workers_units_come_back),
        cmocka_unit_test(a_kill_at_any_moment_leaves_no_total_too_low),
        cmocka_unit_test(concurrent_claims_add_up),
        cmocka_unit_test(claims_end_at_the_limit),
        cmocka_unit_test(concurrent_claims_stay_below_the_limit),
        cmocka_unit_test(a_dead_workers_places_in_queues_are_taken_back),
        cmocka_unit_test(addresses_are_read_as_they_were_written),
        cmocka_unit_test(a_writer_that_died_leaves_no_address_until_the_next),
        cmocka_unit_test(addresses_are_never_torn),
        cmocka_unit_test(a_slot_begins_like_a_fresh_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

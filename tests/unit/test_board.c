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
    expect_piece(b, &last, (struct span){b->suspect, dim->servers * sizeof(*b->suspect)});
    expect_piece(b, &last, (struct span){b->skipped, dim->backends * 4});
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

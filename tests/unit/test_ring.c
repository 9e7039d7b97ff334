// SPDX-License-Identifier: MIT
// The ring between processes: order, wrapping, refusal, wake-ups, and a producer that is killed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ring.h"

#define SIZE 256u

struct fixture {
    void *memory;
    size_t bytes;
    struct ring_sleep *sleep;
    struct ring ring;
};

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));
    f->bytes = ring_bytes(SIZE) + 64;
    f->memory = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(f->memory, MAP_FAILED);
    f->sleep = f->memory;
    ring_init(&f->ring, (char *)f->memory + 64, SIZE, f->sleep,
              eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)close(f->ring.wake_fd);
    (void)munmap(f->memory, f->bytes);
    free(f);
    return 0;
}

// Takes everything out and returns it as one text.
static size_t take_all(struct ring *r, char out[SIZE + 1])
{
    struct iovec piece[2];
    size_t n = ring_peek(r, piece);
    memcpy(out, piece[0].iov_base, piece[0].iov_len);
    memcpy(out + piece[0].iov_len, piece[1].iov_base, piece[1].iov_len);
    assert_int_equal(n, piece[0].iov_len + piece[1].iov_len);
    out[n] = '\0';
    ring_consume(r, n);
    return n;
}

static uint64_t wake_count(const struct ring *r)
{
    uint64_t n = 0;
    return read(r->wake_fd, &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

static void test_order(void **state)
{
    struct fixture *f = *state;
    char out[SIZE + 1];
    assert_true(ring_empty(&f->ring));
    assert_true(ring_put(&f->ring, "one\n", 4));
    assert_true(ring_put(&f->ring, "two\n", 4));
    assert_false(ring_empty(&f->ring));
    assert_int_equal(take_all(&f->ring, out), 8);
    assert_string_equal(out, "one\ntwo\n");
    assert_true(ring_empty(&f->ring));
}

// Records of every length at every place of the ring come out as they went in.
static void test_wrap(void **state)
{
    struct fixture *f = *state;
    char in[SIZE], out[SIZE + 1];
    for (size_t round = 0; round < 3 * SIZE; round++) {
        size_t n = 1 + round % 97;
        for (size_t i = 0; i < n; i++)
            in[i] = (char)('a' + (round + i) % 26);
        assert_true(ring_put(&f->ring, in, n));
        assert_int_equal(take_all(&f->ring, out), n);
        assert_memory_equal(in, out, n);
    }
}

static void test_all_or_nothing(void **state)
{
    struct fixture *f = *state;
    char bytes[SIZE + 1] = {0}, out[SIZE + 1];
    assert_false(ring_put(&f->ring, bytes, SIZE + 1));
    assert_true(ring_put(&f->ring, bytes, SIZE)); // to the last byte
    assert_false(ring_put(&f->ring, bytes, 1));
    assert_true(ring_has_dropped(&f->ring));
    assert_int_equal(ring_take_dropped(&f->ring), 2);
    assert_int_equal(ring_take_dropped(&f->ring), 0);
    assert_false(ring_has_dropped(&f->ring));
    assert_int_equal(take_all(&f->ring, out), SIZE);
    assert_true(ring_put(&f->ring, bytes, 1));
}

static void test_partly_consumed(void **state)
{
    struct fixture *f = *state;
    char out[SIZE + 1];
    assert_true(ring_put(&f->ring, "abcdef", 6));
    ring_consume(&f->ring, 4);
    assert_int_equal(take_all(&f->ring, out), 2);
    assert_string_equal(out, "ef");
}

static void test_wakes_only_a_sleeper(void **state)
{
    struct fixture *f = *state;
    assert_true(ring_put(&f->ring, "x", 1));
    assert_int_equal(wake_count(&f->ring), 0);
    ring_sleep_begin(f->sleep);
    assert_true(ring_put(&f->ring, "x", 1));
    assert_true(wake_count(&f->ring) > 0);
    ring_sleep_end(f->sleep);
    assert_true(ring_put(&f->ring, "x", 1));
    assert_int_equal(wake_count(&f->ring), 0);
    ring_sleep_begin(f->sleep);
    ring_wake(&f->ring); // for a producer that died in between
    assert_true(wake_count(&f->ring) > 0);
}

// The first words in shared memory are the producer's position: spoil them as a process would that
// runs wild. The consumer must stay inside its memory and the ring must work again.
static void test_wild_producer(void **state)
{
    struct fixture *f = *state;
    char out[SIZE + 1];
    assert_true(ring_put(&f->ring, "abc", 3));
    memset((char *)f->memory + 64, 0xff, 8);
    assert_int_equal(take_all(&f->ring, out), 0);
    assert_true(ring_empty(&f->ring));
    memset((char *)f->memory + 64, 0x77, 8); // behind the consumer
    assert_int_equal(take_all(&f->ring, out), 0);
    assert_true(ring_put(&f->ring, "abc", 3));
    assert_int_equal(take_all(&f->ring, out), 3);
}

static void produce_for_ever(struct ring *r)
{
    char line[64];
    for (unsigned i = 0;; i++) {
        size_t n = 8 + i % 50;
        memset(line, 'a' + (int)(i % 26), n);
        line[n - 1] = '\n';
        (void)ring_put(r, line, n);
    }
}

// Every line is of one letter from begin to end: no part of a record is ever seen.
static void check_lines(const char *text, size_t n)
{
    const char *end = text + n;
    while (text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        assert_non_null(line_end);
        for (const char *c = text; c < line_end; c++)
            assert_int_equal(*c, *text);
        text = line_end + 1;
    }
}

static void test_killed_producer(void **state)
{
    struct fixture *f = *state;
    char out[SIZE + 1];
    for (int round = 0; round < 20; round++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
            produce_for_ever(&f->ring);
        size_t seen = 0;
        while (seen < 20000) {
            size_t n = take_all(&f->ring, out);
            check_lines(out, n);
            seen += n;
        }
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        check_lines(out, take_all(&f->ring, out));
        assert_true(ring_put(&f->ring, "next\n", 5)); // its replacement goes on
        assert_int_equal(take_all(&f->ring, out), 5);
    }
}

#define RING_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(test_order),
        RING_TEST(test_wrap),
        RING_TEST(test_all_or_nothing),
        RING_TEST(test_partly_consumed),
        RING_TEST(test_wakes_only_a_sleeper),
        RING_TEST(test_wild_producer),
        RING_TEST(test_killed_producer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

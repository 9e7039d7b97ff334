// SPDX-License-Identifier: MIT
// The standard dialogues of mode tcp: plainly, byte by byte, and with a fault at every call. What
// arrives is always a beginning of what was sent, and all of it when nothing broke.
#include "sim.h"

#define CALLS_MAX 5000
#define BIG_BYTES 150000

struct talk {
    const char *name, *yaml;
    const char *client; // says this, then ends; NULL: only after the server's first words
    const char *server; // the answer when the client has ended; then ends
    const char *banner; // what the server says first; NULL: nothing
    bool server_ends;   // with the banner, before the client says anything
    bool refuse;        // the first server refuses
};

static char big[BIG_BYTES + 1];

// clang-format off
static const struct talk talks[] = {
    {"client first", "", "hello", "welcome", NULL, false, false},
    {"server first", "", "QUIT\r\n", "bye\r\n", "220 ready\r\n", false, false},
    {"the server ends first", "", "got it", "", "daytime", true, false},
    {"no word from either", "", "", "", NULL, false, false},
    {"big answer", "", "get", big, NULL, false, false},
    {"big both ways", "", big, big, NULL, false, false},
    {"refused by the first server", "retries: 2\n", "hello", "welcome", NULL, false, true},
    {"with a PROXY header", "send-proxy: v1\n", "hello", "welcome", NULL, false, false},
};
// clang-format on

static const struct talk *talking;
static char context[200];
static bool said, banner_said[SIM_PEERS], answered[SIM_PEERS];

static bool may_speak(const struct sim_peer *p)
{
    return p->used && !p->in_fin && !p->gone && !p->connecting && p->error == 0 && p->conn != NULL;
}

static void serve(struct sim *t, int peer)
{
    struct sim_peer *p = &t->peers[peer];
    if (may_speak(p) && talking->banner != NULL && !banner_said[peer]) {
        banner_said[peer] = true;
        sim_send(t, peer, talking->banner);
        if (talking->server_ends)
            sim_fin(t, peer);
    }
    if (may_speak(p) && p->state == SIM_FIN && !answered[peer]) {
        answered[peer] = true;
        sim_send(t, peer, talking->server);
        sim_fin(t, peer);
    }
}

static void drive(struct sim *t)
{
    struct sim_peer *p = &t->peers[CLIENT];
    if (!may_speak(p) && p->conn != NULL)
        return;
    if (!said && (talking->banner == NULL || p->out.n > 0) && !p->in_fin) {
        said = true;
        sim_send(t, CLIENT, talking->client);
        sim_fin(t, CLIENT);
    }
}

static void check_prefix(const struct sim_peer *p, const char *first, const char *then, bool all)
{
    size_t a = strlen(first), b = strlen(then);
    assert_in_range(p->out.n, 0, a + b);
    for (size_t i = 0; i < p->out.n; i++)
        assert_int_equal(p->out.p[i], i < a ? first[i] : then[i - a]);
    if (all)
        assert_int_equal(p->out.n, a + b);
}

struct run {
    enum sim_fault fault;
    uint64_t at;
    size_t read_most, write_most, refill;
};

// False: the fault was not reached.
static bool play(const struct talk *k, const struct run *r)
{
    char yaml[200];
    snprintf(context, sizeof(context), "%s, fault %d at %llu, reads of %zu, writes of %zu", k->name,
             (int)r->fault, (unsigned long long)r->at, r->read_most, r->write_most);
    snprintf(yaml, sizeof(yaml), "mode: tcp\n%sservers: [%s10.0.0.2:80]\n", k->yaml,
             k->refuse ? "10.0.0.1:80, " : "");
    talking = k;
    said = false;
    memset(banner_said, 0, sizeof(banner_said));
    memset(answered, 0, sizeof(answered));
    struct sim *t = sim_new(yaml);
    t->dial[0] = k->refuse ? DIAL_REFUSE : DIAL_OK;
    t->read_most = r->read_most;
    t->write_most = r->write_most;
    t->refill = r->refill;
    if (r->refill > 0)
        t->window = r->refill;
    t->serve = serve;
    t->drive = drive;
    sim_fault_at(t, r->at, r->fault);
    (void)sim_connect(t);
    sim_run(t);
    sim_advance(t, 100);
    bool whole = !t->faulted || r->fault == FAULT_AGAIN || r->fault == FAULT_SHORT;
    const char *header = strstr(k->yaml, "send-proxy") != NULL ? "PROXY UNKNOWN\r\n" : "";
    check_prefix(&t->peers[CLIENT], k->banner != NULL ? k->banner : "", k->server, whole);
    for (int i = 0; i < t->n_dials; i++) {
        bool last = i == t->n_dials - 1;
        check_prefix(&t->peers[SERVER_N(i)], header, k->client, whole && last);
    }
    if (whole)
        sim_expect_end(t, END_OK);
    sim_advance(t, 3700000);
    assert_int_equal(t->w.n_sessions, 0);
    if (r->fault != FAULT_NO_MEMORY) // else there may have been none
        assert_int_equal(sim_ends(t), 1);
    assert_in_range(sim_ends(t), 0, 1);
    bool reached = r->at == 0 || t->faulted;
    sim_free(t);
    context[0] = '\0';
    return reached;
}

static void play_all(const struct run *r)
{
    for (size_t i = 0; i < ARRAY_LEN(talks); i++)
        assert_true(play(&talks[i], r));
}

static void fail_every_call(enum sim_fault fault, size_t refill)
{
    for (size_t i = 0; i < ARRAY_LEN(talks); i++) {
        struct run r = {.fault = fault, .at = 1, .refill = refill};
        while (play(&talks[i], &r))
            r.at++;
        assert_in_range(r.at, 3, CALLS_MAX);
    }
}

static void test_plain(void **state)
{
    (void)state;
    play_all(&(struct run){0});
    play_all(&(struct run){.refill = 4000});
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(talks); i++) {
        if (talks[i].server == big)
            continue;
        assert_true(play(&talks[i], &(struct run){.read_most = 1}));
        assert_true(play(&talks[i], &(struct run){.write_most = 1}));
        assert_true(play(&talks[i], &(struct run){.read_most = 1, .write_most = 1}));
        assert_true(play(&talks[i], &(struct run){.refill = 1}));
    }
}

static void test_faults(void **state)
{
    (void)state;
    for (int fault = FAULT_AGAIN; fault < FAULT_COUNT; fault++) {
        fail_every_call((enum sim_fault)fault, 0);
        fail_every_call((enum sim_fault)fault, 9000);
    }
}

static int say_what_failed(void **state)
{
    (void)state;
    if (context[0] != '\0')
        print_message("while playing: %s\n", context);
    return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, say_what_failed)

int main(void)
{
    memset(big, 'x', BIG_BYTES);
    const struct CMUnitTest tests[] = {
        TEST(test_plain),
        TEST(test_byte_by_byte),
        TEST(test_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

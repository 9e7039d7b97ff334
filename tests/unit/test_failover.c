// SPDX-License-Identifier: MIT
// Failover: who works, over tables of events and over random walks.
#include "sched_fixture.h"

#include "core/failover.h"

#define SERVERS_MOST 6u

// A backend with its track, driven by events.
struct scene {
    struct backend backend;
    struct server servers[SERVERS_MOST];
    struct failover_server known[SERVERS_MOST];
    bool works[SERVERS_MOST];
    struct failover_track track;
    struct failover_result last;
    uint64_t now_ms;
};

// All servers usable since the start; one digit per server: its tier.
static void scene_open(struct scene *s, enum failover mode, enum failback failback,
                       uint32_t after_ms, const char *tiers)
{
    memset(s, 0, sizeof(*s));
    s->backend = (struct backend){.failover = mode,
                                  .failback = failback,
                                  .failback_after_ms = after_ms,
                                  .servers = s->servers,
                                  .n_servers = (uint32_t)strlen(tiers)};
    for (uint32_t i = 0; i < s->backend.n_servers; i++) {
        s->servers[i].tier = (uint32_t)(tiers[i] - '0');
        s->known[i].usable = true;
    }
    s->track.active = FAILOVER_NONE;
    s->now_ms = 1000;
}

static void scene_decide(struct scene *s)
{
    s->last = failover_decide(&s->backend, &s->track, s->known, s->works, s->now_ms);
}

static void scene_set(struct scene *s, uint32_t place, bool usable)
{
    if (usable && !s->known[place].usable)
        s->known[place].up_since_ms = s->now_ms;
    s->known[place].usable = usable;
}

// One event: "-a" goes down, "+a" comes up, "!a" an administrator switches to it, "?a" the same but
// refused, "5" so many seconds pass (all of the digit, with a decision at the end).
static void scene_event(struct scene *s, const char *event)
{
    uint32_t place = (uint32_t)(event[1] - 'a');
    switch (event[0]) {
    case '+':
    case '-':
        scene_set(s, place, event[0] == '+');
        break;
    case '!':
    case '?':
        assert_int_equal(failover_switch(&s->backend, &s->track, s->known, place), event[0] == '!');
        break;
    default:
        s->now_ms += (uint64_t)(event[0] - '0') * 1000;
    }
    scene_decide(s);
}

static void expect_works(const struct scene *s, const char *expected, const char *what)
{
    char got[SERVERS_MOST + 1] = {0};
    size_t n = 0;
    for (uint32_t i = 0; i < s->backend.n_servers; i++)
        if (s->works[i])
            got[n++] = (char)('a' + i);
    if (strcmp(got, expected) != 0)
        print_error("in \"%s\"\n", what);
    assert_string_equal(got, expected);
}

struct story {
    const char *tiers;
    enum failover mode;
    enum failback failback;
    uint32_t after_ms;
    // pairs: an event, and who works behind it; the first one is who works at the start
    const char *steps;
};

#define AA FAILOVER_ACTIVE_ACTIVE
#define AP FAILOVER_ACTIVE_PASSIVE
#define AUTO FAILBACK_AUTO
#define MANUAL FAILBACK_MANUAL

static const struct story stories[] = {
    // active-active: all of the best tier that has any
    {"111", AA, AUTO, 0, "abc -b ac -a c -c . +b b +a ab"},
    {"1122", AA, AUTO, 0, "ab -a b -b cd -c d +b b +a ab"},
    {"2211", AA, AUTO, 0, "cd -c d -d ab +c c"},
    {"113", AA, AUTO, 0, "ab -a b -b c +a a"},
    {"122", AA, AUTO, 0, "a -a bc -c b -b . +c c +b bc +a a"},
    // ... with a tier that has to wait
    {"12", AA, AUTO, 3000, "a -a b +a b 2 b 1 a"},
    {"12", AA, AUTO, 3000, "a -a b +a b 2 b -a b +a b 2 b 1 a"}, // the time begins anew
    {"12", AA, AUTO, 3000, "a -a b +a b -b a +b a"}, // nobody waits when there is no other
    {"1123", AA, AUTO, 3000, "ab -a b -b c +a c 2 c +b c 1 ab"}, // one ripe server opens its tier
    {"112", AA, AUTO, 3000, "ab -a b +a ab"}, // no wait inside of the tier that works
    // ... by hand
    {"12", AA, MANUAL, 0, "a -a b +a b 9 b !a a"},
    {"123", AA, MANUAL, 0, "a -a b -b c +b c +a c -c a"},
    {"1122", AA, AUTO, 0, "ab !c cd 9 cd -c d -d ab +d ab +c ab"},
    {"1122", AA, AUTO, 0, "ab !c cd -a cd +a cd !b ab"},
    // active-passive: one, by tier, then by the list
    {"111", AP, AUTO, 0, "a -a b -b c -c . +c c +b b +a a"},
    {"111", AP, AUTO, 0, "a -b a -a c +b b +a a"},
    {"212", AP, AUTO, 0, "b -b a -a c +a a +b b"},
    {"1", AP, AUTO, 0, "a -a . +a a"},
    {"1", AP, MANUAL, 0, "a -a . +a a"},
    // ... with a wait: the best of those that are ripe, none when the active one is gone
    {"11", AP, AUTO, 5000, "a -a b +a b 4 b 1 a"},
    {"11", AP, AUTO, 5000, "a -a b +a b 4 b -a b 1 b +a b 4 b 1 a"},
    {"11", AP, AUTO, 5000, "a -a b +a b 4 b -b a +b a 9 a"},
    {"111", AP, AUTO, 5000, "a -a b -b c +b c 2 c +a c 3 b 2 a"},
    {"111", AP, AUTO, 5000, "a -a b -b c +a c 2 c +b c 3 a 2 a"},
    {"111", AP, AUTO, 5000, "a -a b -b c -c . +b b +a b 5 a"},
    // ... by hand: the successor keeps it, also when the first one returns; all dead: the first
    // that returns
    {"11", AP, MANUAL, 0, "a -a b +a b 9 b -b a +b a"},
    {"111", AP, MANUAL, 0, "a -a b -b c +a c +b c -c a +c a"},
    {"111", AP, MANUAL, 0, "a -a b -b c -c . +c c +a c !a a"},
    // ... an administrator's switch: stays over time and over others' coming and going
    {"111", AP, AUTO, 0, "a !b b 9 b -c b +c b -a b +a b"},
    {"111", AP, AUTO, 0, "a !c c -c a +c a 9 a"},  // until it is unusable: then as always
    {"111", AP, AUTO, 0, "a !c c !a a -a b +a a"}, // until he takes it back
    {"111", AP, AUTO, 3000, "a !c c 9 c -c a +c a 9 a"},
    {"111", AP, AUTO, 0, "a !c c !b b -a b +a b"},
    {"111", AP, MANUAL, 0, "a !c c 9 c -c a +c a"},
    {"111", AP, AUTO, 0, "a -b a ?b a -a c ?a c ?f c"},
    {"121", AP, AUTO, 0, "a !b b -b a"},
    // ... to the best one of the moment is no switch: a better one takes over when it returns
    {"111", AP, AUTO, 0, "a -a b !b b +a a"},
    {"111", AP, AUTO, 5000, "a -a b +a b !a a"}, // does not wait for failback-after
};

static void goes_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
        const struct story *story = &stories[i];
        struct scene s;
        char words[160], *rest = words;
        assert_true(strlen(story->steps) < sizeof(words));
        memcpy(words, story->steps, strlen(story->steps) + 1);
        scene_open(&s, story->mode, story->failback, story->after_ms, story->tiers);
        scene_decide(&s);
        for (const char *w, *event = NULL; (w = strsep(&rest, " ")) != NULL;) {
            if (strchr("+-!?0123456789", w[0]) != NULL) {
                event = w;
                scene_event(&s, event);
                continue;
            }
            expect_works(&s, w[0] == '.' ? "" : w, story->steps);
            scene_decide(&s); // nothing has happened: nothing changes
            assert_false(s.last.changed);
            expect_works(&s, w[0] == '.' ? "" : w, story->steps);
        }
    }
}

static void says_why_and_when_to_look_again(void **state)
{
    (void)state;
    struct scene s;
    scene_open(&s, AP, AUTO, 5000, "111");
    scene_decide(&s);
    assert_int_equal(s.last.reason, FAILOVER_FIRST);
    assert_int_equal(s.last.active, 0);
    assert_true(s.last.changed && s.last.look_again_ms == UINT64_MAX);
    scene_event(&s, "-a");
    assert_int_equal(s.last.reason, FAILOVER_FIRST);
    assert_int_equal(s.last.active, 1);
    assert_true(s.last.changed && s.last.look_again_ms == UINT64_MAX);
    s.now_ms = 2000;
    scene_event(&s, "+a");
    assert_int_equal(s.last.reason, FAILOVER_KEPT);
    assert_false(s.last.changed);
    assert_int_equal(s.last.look_again_ms, 7000);
    s.now_ms = 7000;
    scene_decide(&s);
    assert_int_equal(s.last.reason, FAILOVER_FIRST);
    assert_true(s.last.changed && s.last.look_again_ms == UINT64_MAX);
    scene_event(&s, "!c");
    assert_int_equal(s.last.reason, FAILOVER_SWITCHED);
    assert_int_equal(s.last.active, 2);
    assert_true(s.last.look_again_ms == UINT64_MAX);
    for (uint32_t i = 0; i < 3; i++)
        scene_set(&s, i, false);
    scene_decide(&s);
    assert_int_equal(s.last.reason, FAILOVER_NO_SERVER);
    assert_int_equal(s.last.active, FAILOVER_NONE);
    assert_true(s.last.changed && !s.track.switched);
}

static void names_the_tier_in_active_active(void **state)
{
    (void)state;
    struct scene s;
    scene_open(&s, AA, MANUAL, 0, "3344");
    scene_decide(&s);
    assert_int_equal(s.last.active, 3);
    scene_event(&s, "-a");
    assert_false(s.last.changed);
    scene_event(&s, "-b");
    assert_int_equal(s.last.active, 4);
    scene_event(&s, "+b");
    assert_int_equal(s.last.reason, FAILOVER_KEPT);
    assert_true(s.last.look_again_ms == UINT64_MAX);
}

// Several better ones wait: the first of them to be ripe names the time.
static void looks_again_when_the_first_is_ripe(void **state)
{
    (void)state;
    struct scene s;
    scene_open(&s, AP, AUTO, 5000, "111");
    scene_set(&s, 0, false);
    scene_set(&s, 1, false);
    scene_decide(&s);
    s.now_ms = 2000;
    scene_event(&s, "+b");
    s.now_ms = 3000;
    scene_event(&s, "+a");
    assert_int_equal(s.last.look_again_ms, 7000);
    s.now_ms = 7000;
    scene_decide(&s);
    assert_int_equal(s.last.active, 1);
    assert_int_equal(s.last.look_again_ms, 8000);
    s.now_ms = 8000;
    scene_decide(&s);
    assert_int_equal(s.last.active, 0);
}

static void every_reason_has_its_own_text(void **state)
{
    (void)state;
    for (enum failover_reason a = FAILOVER_FIRST; a <= FAILOVER_NO_SERVER; a++)
        for (enum failover_reason b = FAILOVER_FIRST; b < a; b++)
            assert_string_not_equal(failover_reason_text(a, FAILBACK_AUTO),
                                    failover_reason_text(b, FAILBACK_AUTO));
    assert_non_null(
        strstr(failover_reason_text(FAILOVER_KEPT, FAILBACK_MANUAL), "evlb ctl backend switch"));
}

static void a_backend_without_servers_has_none(void **state)
{
    (void)state;
    struct scene s;
    scene_open(&s, AP, AUTO, 0, "");
    scene_decide(&s);
    assert_int_equal(s.last.reason, FAILOVER_NO_SERVER);
    assert_false(s.last.changed);
    assert_false(failover_switch(&s.backend, &s.track, s.known, 0));
}

// ---- random walks -----------------------------------------------------------------------------

static uint32_t count_works(const struct scene *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->backend.n_servers; i++) {
        assert_true(!s->works[i] || s->known[i].usable); // nobody unusable works
        n += s->works[i];
    }
    return n;
}

static void expect_groups(const struct scene *s)
{
    uint32_t working = count_works(s), usable = 0, tier = 0;
    for (uint32_t i = 0; i < s->backend.n_servers; i++) {
        usable += s->known[i].usable;
        if (s->works[i])
            tier = s->servers[i].tier;
    }
    assert_int_equal(working > 0, usable > 0);
    if (s->backend.failover == AP)
        assert_true(working <= 1);
    for (uint32_t i = 0; s->backend.failover == AA && i < s->backend.n_servers; i++)
        assert_int_equal(s->works[i], s->known[i].usable && s->servers[i].tier == tier);
}

// Whether the one that worked before still could.
static bool still_usable(const struct scene *s, const bool *worked)
{
    for (uint32_t i = 0; i < s->backend.n_servers; i++)
        if (worked[i] && s->known[i].usable)
            return true;
    return false;
}

static bool better_is_ripe(const struct scene *s, const bool *worked)
{
    uint32_t current = 0;
    while (!worked[current])
        current++;
    for (uint32_t i = 0; i < s->backend.n_servers; i++) {
        bool before = s->servers[i].tier < s->servers[current].tier ||
                      (s->backend.failover == AP && i < current &&
                       s->servers[i].tier == s->servers[current].tier);
        uint64_t since = s->known[i].up_since_ms;
        if (before && s->known[i].usable &&
            (since == 0 || s->now_ms - since >= s->backend.failback_after_ms))
            return true;
    }
    return false;
}

// A change of who works needs a cause: the end of the one that worked, a better one that is ripe
// (failback: auto, no switch), or an administrator.
static void walk(struct rng *rng, enum failover mode, enum failback failback)
{
    struct scene s;
    char tiers[SERVERS_MOST + 1] = {0};
    uint32_t n = 1 + rng_below(rng, SERVERS_MOST);
    for (uint32_t i = 0; i < n; i++)
        tiers[i] = (char)('1' + rng_below(rng, 3));
    scene_open(&s, mode, failback, rng_below(rng, 2) * 3000, tiers);
    scene_decide(&s);
    for (int k = 0; k < 300; k++) {
        bool worked[SERVERS_MOST], by_hand = false, was_switched = s.track.switched;
        bool worked_before = count_works(&s) > 0;
        memcpy(worked, s.works, sizeof(worked));
        s.now_ms += rng_below(rng, 2000);
        uint32_t place = rng_below(rng, n), what = rng_below(rng, 20);
        if (what < 16)
            scene_set(&s, place, rng_below(rng, 2) == 0);
        else if (what == 16)
            by_hand = failover_switch(&s.backend, &s.track, s.known, place);
        scene_decide(&s);
        expect_groups(&s);
        if (by_hand)
            assert_true(s.works[place]);
        else if (worked_before && still_usable(&s, worked))
            assert_int_equal(s.last.changed,
                             failback == AUTO && !was_switched && better_is_ripe(&s, worked));
        assert_true(s.last.look_again_ms > s.now_ms);
    }
}

static void keeps_its_promises_on_random_walks(void **state)
{
    (void)state;
    struct rng rng;
    rng_seed(&rng, 5);
    for (int k = 0; k < 100; k++) {
        walk(&rng, AA, AUTO);
        walk(&rng, AA, MANUAL);
        walk(&rng, AP, AUTO);
        walk(&rng, AP, MANUAL);
    }
}

// ---- the board --------------------------------------------------------------------------------

static void expect_standby(const struct fixture *f, const char *expected)
{
    for (uint32_t i = 0; expected[i] != 0; i++)
        assert_int_equal(atomic_load(&f->board->server[i].standby), expected[i] - '0');
}

static void board_open(struct fixture *f, enum failover mode, const char *tiers)
{
    fixture_servers(f, BALANCE_ROUND_ROBIN, (uint32_t)strlen(tiers), NULL);
    f->backend.failover = mode;
    for (uint32_t i = 0; tiers[i] != 0; i++)
        f->backend.servers[i].tier = (uint32_t)(tiers[i] - '0');
    fixture_build(f);
}

static void begins_with_the_best(void **state)
{
    (void)state;
    struct fixture f;
    board_open(&f, AA, "2112");
    failover_begin(&f.backend, f.board);
    expect_standby(&f, "1001");
    assert_int_equal(failover_resume(&f.backend, f.board).active, 1);
    f.backend.failover = AP;
    failover_begin(&f.backend, f.board);
    expect_standby(&f, "1011");
    assert_int_equal(failover_resume(&f.backend, f.board).active, 1);
    f.backend.servers[1].weight = 0;
    f.backend.servers[2].addr.len = 0; // a name that is not resolved yet
    failover_begin(&f.backend, f.board);
    expect_standby(&f, "0111");
    f.backend.servers[0].weight = 0;
    f.backend.servers[3].weight = 0;
    failover_begin(&f.backend, f.board);
    expect_standby(&f, "1111");
    assert_int_equal(failover_resume(&f.backend, f.board).active, FAILOVER_NONE);
    fixture_close(&f);
}

static void resumes_what_the_board_says(void **state)
{
    (void)state;
    struct fixture f;
    board_open(&f, AP, "111");
    failover_begin(&f.backend, f.board);
    atomic_store(&f.board->server[0].standby, 1);
    atomic_store(&f.board->server[2].standby, 0);
    atomic_store(&f.board->cursor[0].switched, 1);
    struct failover_track t = failover_resume(&f.backend, f.board);
    assert_int_equal(t.active, 2);
    assert_true(t.switched);
    atomic_store(&f.board->server[2].state, SERVER_DOWN); // its standby word says nothing now
    assert_int_equal(failover_resume(&f.backend, f.board).active, FAILOVER_NONE);
    f.backend.failover = AA; // the mode changed with a reload
    assert_int_equal(failover_resume(&f.backend, f.board).active, FAILOVER_NONE);
    atomic_store(&f.board->server[2].state, SERVER_UP);
    assert_int_equal(failover_resume(&f.backend, f.board).active, 1);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_as_written),
        cmocka_unit_test(says_why_and_when_to_look_again),
        cmocka_unit_test(names_the_tier_in_active_active),
        cmocka_unit_test(looks_again_when_the_first_is_ripe),
        cmocka_unit_test(every_reason_has_its_own_text),
        cmocka_unit_test(a_backend_without_servers_has_none),
        cmocka_unit_test(keeps_its_promises_on_random_walks),
        cmocka_unit_test(begins_with_the_best),
        cmocka_unit_test(resumes_what_the_board_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

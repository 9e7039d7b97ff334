// SPDX-License-Identifier: MIT
// What an old supervisor leaves to a new one: states by name and address, servers added at run
// time; and what is not to be believed.
#include "conf_test.h"

#include <unistd.h>

#include "io/channel.h"
#include "process/inherited.h"
#include "process/slots.h"

#define HEAD                                                                                       \
    "frontends: {web: {listen: 8080, backend: app}}\n"                                             \
    "backends:\n  one: [10.0.1.1:80]\n  app:\n    servers:\n"

struct life {
    struct config *config;
    struct board *board;
    struct slots *slots;
};

// A process that was started with these servers and inherits this text.
static struct life begin(const char *servers, struct str inherited)
{
    const struct board_dim dim = {.workers = 1, .servers = 8, .backends = 4, .frontends = 2};
    size_t bytes = (board_bytes(&dim) + 63) & ~(size_t)63;
    void *memory = aligned_alloc(64, bytes);
    struct arena *a = arena_new();
    struct findings findings;
    const char *why;
    struct life l = {0};
    findings_init(&findings);
    struct config_source source =
        config_source_text("t.yaml", str_of(arena_printf(a, HEAD "%s", servers)));
    source.overlay = inherited_overlay(inherited, a);
    l.config = config_load(&source, &findings);
    assert_non_null(l.config);
    memset(memory, 0, bytes);
    l.board = board_init(memory, &dim);
    l.slots = slots_new(l.board);
    assert_true(slots_assign(l.slots, l.config, 1, &why));
    inherited_apply(inherited, l.config, l.board);
    findings_free(&findings);
    arena_free(a);
    return l;
}

static void end(struct life *l)
{
    slots_free(l->slots);
    free(l->board);
    arena_free(l->config->arena);
}

static struct board_server *words_of(const struct life *l, const char *name)
{
    for (uint32_t i = 0; i < l->config->n_servers; i++) {
        if (str_eq(l->config->servers[i].name, str_of(name)))
            return &l->board->server[l->config->servers[i].index];
    }
    fail_msg("no server %s", name);
    return NULL;
}

static struct board_cursor *cursor_of(const struct life *l, const char *name)
{
    for (uint32_t i = 0; i < l->config->n_backends; i++) {
        if (str_eq(l->config->backends[i].name, str_of(name)))
            return &l->board->cursor[l->config->backends[i].index];
    }
    fail_msg("no backend %s", name);
    return NULL;
}

#define AB "      a: 10.0.0.1:80\n      b: {address: 10.0.0.2:80, weight: 3}\n"
#define NAMED "      n: {address: \"app.internal:80\"}\n"

static struct tls_tickets old_tickets;

// a in maintenance, b with another weight and down, n resolved, c added.
static struct buf left_by_old(void)
{
    struct life old = begin(AB NAMED, STR("evlb 1\noverlay add app/c 10.0.0.3:80 weight=2\n"));
    struct board_server *a = words_of(&old, "a"), *b = words_of(&old, "b");
    struct addr found;
    struct buf text = {0};
    assert_true(tls_tickets_init(&old_tickets));
    atomic_store(&a->state, SERVER_MAINT);
    atomic_store(&a->admin, ADMIN_MAINT);
    atomic_store(&a->admin_until_ms, 123456789012);
    (void)str_copy(STR("new disks, by\nFriday = soon"), a->admin_reason, BOARD_REASON);
    atomic_store(&b->state, SERVER_DOWN);
    atomic_store(&b->weight, 8);
    atomic_store(&b->since_ms, 99);
    atomic_store(&b->checked, CHECKED_DOWN);
    assert_true(addr_parse_ip(STR("10.9.9.9"), 80, &found));
    board_addr_write(old.board, (uint32_t)(words_of(&old, "n") - old.board->server), &found);
    atomic_store(&words_of(&old, "c")->standby, 1);
    atomic_store(&cursor_of(&old, "app")->switched, 1);
    assert_true(inherited_write(old.config, old.board, &old_tickets, &text));
    end(&old);
    return text;
}

static void ticket_keys_go_over(void **state)
{
    (void)state;
    struct buf text = left_by_old();
    struct ticket_key keys[TICKET_KEYS];
    assert_true(inherited_tickets((struct str){buf_head(&text), buf_len(&text)}, keys));
    assert_memory_equal(keys, old_tickets.keys, sizeof(keys));
    assert_false(inherited_tickets(STR("evlb 1\nticket AAAA\nticket x\n"), keys));
    assert_false(inherited_tickets(STR_NONE, keys));
    buf_release(&text);
}

static void states_and_servers_go_over(void **state)
{
    (void)state;
    struct buf text = left_by_old();
    // in another order, with one more
    struct life new =
        begin("      z: 10.0.0.9:80\n" NAMED AB, (struct str){buf_head(&text), buf_len(&text)});
    const struct board_server *a = words_of(&new, "a"), *b = words_of(&new, "b");
    struct addr found;
    char address[ADDR_TEXT];
    assert_int_equal(atomic_load(&a->state), SERVER_MAINT);
    assert_int_equal(atomic_load(&a->admin), ADMIN_MAINT);
    assert_int_equal(atomic_load(&a->admin_until_ms), 123456789012);
    assert_string_equal(a->admin_reason, "new disks, by Friday = soon");
    assert_int_equal(atomic_load(&b->state), SERVER_DOWN);
    assert_int_equal(atomic_load(&b->weight), 8);
    assert_int_equal(atomic_load(&b->since_ms), 99);
    assert_int_equal(atomic_load(&b->checked), CHECKED_DOWN);
    board_addr_read(new.board, (uint32_t)(words_of(&new, "n") - new.board->server), &found);
    addr_format(&found, address);
    assert_string_equal(address, "10.9.9.9:80");
    assert_int_equal(atomic_load(&words_of(&new, "c")->standby), 1);
    assert_int_equal(atomic_load(&words_of(&new, "z")->standby), 1); // until control has looked
    assert_int_equal(atomic_load(&cursor_of(&new, "app")->switched), 1);
    assert_int_equal(atomic_load(&cursor_of(&new, "one")->switched), 0);
    assert_str(new.config->overlay, "add app/c 10.0.0.3:80 weight=2\n");
    end(&new);
    buf_release(&text);
}

// Another machine under the name begins anew; a weight that the file has changed is the file's.
static void what_the_file_has_changed_is_the_files(void **state)
{
    (void)state;
    struct buf text = left_by_old();
    struct life new = begin("      a: 10.0.0.7:80\n      b: {address: 10.0.0.2:80, weight: 4}\n",
                            (struct str){buf_head(&text), buf_len(&text)});
    assert_int_equal(atomic_load(&words_of(&new, "a")->admin), ADMIN_READY);
    assert_int_equal(atomic_load(&words_of(&new, "a")->state), SERVER_UP);
    assert_int_equal(atomic_load(&words_of(&new, "b")->weight), 0);
    assert_int_equal(atomic_load(&words_of(&new, "b")->state), SERVER_DOWN);
    end(&new);
    buf_release(&text);
}

// Cut at every byte and with odd values: nothing but what is whole and in range.
static void nonsense_changes_nothing(void **state)
{
    (void)state;
    static const char text[] =
        "evlb 1\nserver\nserver app/a\nserver app/a 10.0.0.1:80\nserver app/a 10.0.0.1:80 weight\n"
        "server app/x 10.0.0.1:80 weight 1: state=2\nserver app/a 10.0.0.1:80 weight 1: state=6 "
        "standby=2 withheld=-9 admin=3 checked=3 weight=+1 address=nowhere since=-1 until=x\n"
        "backend\nbackend app\nbackend x switched=1\nsomething else\n\n";
    const struct board_server zero = {0};
    for (size_t n = 0; n <= strlen(text); n++) {
        struct life l = begin(AB, (struct str){text, n});
        assert_memory_equal(words_of(&l, "a"), &zero, sizeof(zero));
        assert_memory_equal(words_of(&l, "b"), &zero, offsetof(struct board_server, standby));
        assert_int_equal(atomic_load(&cursor_of(&l, "app")->switched), 0);
        end(&l);
    }
}

static bool is_read(struct str text)
{
    char number[16];
    (void)snprintf(number, sizeof(number), "%d", channel_text(text));
    (void)setenv(INHERITED_FD, number, 1);
    struct str got = inherited_read();
    assert_null(getenv(INHERITED_FD));
    bool same = str_eq(got, text);
    channel_text_done(got);
    return same;
}

static void only_our_version_is_read(void **state)
{
    (void)state;
    assert_null(inherited_read().p);
    assert_true(is_read(STR("evlb 1\nserver ...\n")));
    assert_false(is_read(STR("evlb 2\nserver ...\n")));
    assert_false(is_read(STR("evlb 10\n")));
    (void)setenv(INHERITED_FD, "0", 1); // no sealed memory
    int kept = dup(STDIN_FILENO);
    assert_null(inherited_read().p);
    (void)dup2(kept, STDIN_FILENO);
    (void)close(kept);
    (void)setenv(INHERITED_FD, "x", 1);
    assert_null(inherited_read().p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_and_servers_go_over),
        cmocka_unit_test(ticket_keys_go_over),
        cmocka_unit_test(what_the_file_has_changed_is_the_files),
        cmocka_unit_test(nonsense_changes_nothing),
        cmocka_unit_test(only_our_version_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

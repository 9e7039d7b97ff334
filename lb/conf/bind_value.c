// SPDX-License-Identifier: MIT
// The simple kinds of values: booleans, numbers, durations, sizes, words, texts, networks. Called
// by the engine (bind.c) through its table, for values of the file and for defaults alike. Every
// message says what to write instead.
#include "conf/bind.h"

#include <stdio.h>

#include "conf/address.h"
#include "conf/interpolate.h"
#include "conf/units.h"

#define SOCKET_PATH_MAX 107
#define DNS_PORT 53

static bool is_one_of(struct str s, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (str_caseeq(s, str_of(*words)))
            return true;
    }
    return false;
}

// "true" or "false" for words that mean it; NULL: neither.
static const char *boolean_meant(struct str s)
{
    static const char *const yes[] = {"yes", "on", "y", "1", "true", "enabled", NULL};
    static const char *const no[] = {"no", "off", "n", "0", "false", "disabled", "none", NULL};
    if (is_one_of(s, yes))
        return "true";
    return is_one_of(s, no) ? "false" : NULL;
}

static bool report_boolean(struct binder *b, const struct row *row, struct node *n)
{
    const char *meant = boolean_meant(n->value);
    bool tls = row == schema_row(&object_server_tls, STR("enabled")); // `tls: FILE` of a server
    struct finding *x =
        bind_bad(b, row, n, "config.boolean", "'%s' must be true or false, not '%.*s'",
                 tls ? "tls" : row->key, SHOW(n->value));
    if (tls && meant == NULL)
        FIX(b, x, "write true, or {ca: FILE} with who has signed its certificate");
    else
        FIX(b, x, "write %s", meant != NULL ? meant : "true or false");
    return false;
}

static bool read_bool(struct binder *b, const struct row *row, struct node *n, bool *out)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return false;
    *out = str_eq(s, STR("true"));
    return *out || str_eq(s, STR("false")) || report_boolean(b, row, n);
}

void bind_bool(struct binder *b, const struct row *row, struct node *n, void *target)
{
    bool value;
    if (read_bool(b, row, n, &value))
        *SLOT_OF(bool, row, target) = value;
}

// ---- numbers with limits ----------------------------------------------------------------------

static const char *limit_text(struct binder *b, const struct row *row, uint64_t value)
{
    struct arena *a = b->findings->arena;
    if (row->type == VALUE_DURATION)
        return duration_text(a, value);
    if (row->type == VALUE_SIZE)
        return size_text(a, value);
    return arena_printf(a, "%llu", (unsigned long long)value);
}

static bool check_limits(struct binder *b, const struct row *row, struct node *n, uint64_t value)
{
    if (value >= row->min && value <= row->max)
        return true;
    struct finding *x = bind_bad(b, row, n, "config.range", "'%s' is %s, which is too %s", row->key,
                                 limit_text(b, row, value), value < row->min ? "small" : "large");
    FIX(b, x, "allowed: %s to %s", limit_text(b, row, row->min), limit_text(b, row, row->max));
    if (row->zero_word != NULL && value == 0)
        NOTE(b, x, "write '%s' for no limit of your own", row->zero_word);
    return false;
}

static void store_number(const struct row *row, uint64_t value, void *target)
{
    if ((row->flags & ROW_SECONDS) != 0)
        value /= 1000;
    if (row->type == VALUE_U16)
        *SLOT_OF(uint16_t, row, target) = (uint16_t)value;
    else
        *SLOT_OF(uint32_t, row, target) = (uint32_t)value;
}

static void report_number(struct binder *b, const struct row *row, struct node *n)
{
    struct finding *x =
        bind_bad(b, row, n, "config.number", "'%s' must be a whole number, not '%.*s'", row->key,
                 SHOW(n->value));
    uint64_t value;
    if (count_guess(n->value, &value) && value >= row->min && value <= row->max)
        FIX(b, x, "write %llu", (unsigned long long)value);
    else
        FIX(b, x, "allowed: %s to %s", limit_text(b, row, row->min), limit_text(b, row, row->max));
    if (row->zero_word != NULL)
        NOTE(b, x, "or the word '%s'", row->zero_word);
}

void bind_number(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    uint64_t value;
    if (!bind_text(b, row, n, &s))
        return;
    if (row->zero_word != NULL && str_eq(s, str_of(row->zero_word)))
        store_number(row, 0, target);
    else if (!str_to_u64(s, &value))
        report_number(b, row, n);
    else if (check_limits(b, row, n, value))
        store_number(row, value, target);
}

// What was probably meant ("20 s", "1.5s", "20sec", "32kb"), or NULL.
static const char *guess_unit(struct binder *b, const struct row *row, struct str s)
{
    uint64_t value;
    bool duration = row->type == VALUE_DURATION;
    bool seconds = (row->flags & ROW_SAID_IN_SECONDS) != 0;
    if (!(duration ? duration_guess(s, seconds, &value) : size_guess(s, &value)))
        return NULL;
    return limit_text(b, row, value);
}

static void report_unit(struct binder *b, const struct row *row, struct node *n, enum unit_result r)
{
    bool duration = row->type == VALUE_DURATION;
    const char *guess = guess_unit(b, row, n->value);
    struct str s = n->value;
    struct finding *x;
    if (r == UNIT_BARE)
        x = bind_bad(b, row, n, "config.unit", "'%s' needs a unit: %.*s what?", row->key, SHOW(s));
    else if (r == UNIT_HUGE)
        x = bind_bad(b, row, n, "config.range", "'%s' is too large", row->key);
    else if (r == UNIT_SPACE)
        x = bind_bad(b, row, n, "config.unit", "a space between number and unit in '%.*s'",
                     SHOW(s));
    else if (r == UNIT_FRACTION)
        x = bind_bad(b, row, n, "config.unit", "'%.*s' is not a whole number", SHOW(s));
    else
        x = bind_bad(b, row, n, "config.unit", "'%s' must be a %s, not '%.*s'", row->key,
                     value_kinds[row->type].name, SHOW(s));
    if (r == UNIT_HUGE)
        FIX(b, x, "allowed: %s to %s", limit_text(b, row, row->min), limit_text(b, row, row->max));
    else if (guess != NULL)
        FIX(b, x, "did you mean '%s'?", guess);
    else if (boolean_meant(s) != NULL)
        FIX(b, x, "write a %s such as %s, or leave it out", value_kinds[row->type].name,
            row->example);
    else
        FIX(b, x, "write a number with one of the units %s",
            duration ? "ms, s, m, h, d, w, y" : "B, KiB, MiB, GiB, k, M, G, kB, MB, GB");
}

static void bind_with_unit(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    uint64_t value;
    if (!bind_text(b, row, n, &s))
        return;
    bool duration = row->type == VALUE_DURATION;
    enum unit_result r = duration ? duration_parse(s, &value) : size_parse(s, &value);
    if (r != UNIT_OK)
        report_unit(b, row, n, r);
    else if (check_limits(b, row, n, value))
        store_number(row, value, target);
}

void bind_duration(struct binder *b, const struct row *row, struct node *n, void *target)
{
    bind_with_unit(b, row, n, target);
}

void bind_size(struct binder *b, const struct row *row, struct node *n, void *target)
{
    bind_with_unit(b, row, n, target);
}

// ---- words ------------------------------------------------------------------------------------

const char *bind_word_list(struct binder *b, const struct row *row)
{
    const char *list = "";
    for (const char *const *w = row->words; *w != NULL; w++)
        list = arena_printf(b->findings->arena, "%s%s%s", list, list[0] != '\0' ? ", " : "", *w);
    return list;
}

static void report_word(struct binder *b, const struct row *row, struct node *n)
{
    const char *boolean = boolean_meant(n->value);
    const struct foreign_word *foreign = foreign_find(n->value, row->key);
    struct suggestion s = suggest_begin(n->value);
    if (foreign == NULL && boolean != NULL)
        foreign = foreign_find(str_of(boolean), row->key);
    struct finding *x =
        bind_bad(b, row, n, "config.enum", "unknown %s '%.*s'", row->key, SHOW(n->value));
    for (const char *const *w = row->words; *w != NULL; w++)
        suggest_offer(&s, str_of(*w));
    if (foreign == NULL && boolean != NULL)
        FIX(b, x, "say which one");
    else
        bind_report_unknown(b, x, foreign, &s);
    NOTE(b, x, "one of: %s", bind_word_list(b, row));
}

static bool read_word(struct binder *b, const struct row *row, struct node *n, uint32_t *index)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return false;
    for (uint32_t i = 0; row->words[i] != NULL; i++) {
        if (str_eq(s, str_of(row->words[i]))) {
            *index = i;
            return true;
        }
    }
    report_word(b, row, n);
    return false;
}

void bind_enum(struct binder *b, const struct row *row, struct node *n, void *target)
{
    uint32_t index;
    if (read_word(b, row, n, &index))
        memcpy((char *)target + row->offset, &index, sizeof(index)); // all enums here are 32 bits
}
_Static_assert(sizeof(enum mode) == sizeof(uint32_t), "bind_enum() writes 32 bits");

void bind_retry_on(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct node **items;
    uint32_t count = bind_items(&n, &items);
    uint32_t bits = count > 0 ? RETRY_ON_CONNECT_FAILURE : 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t word;
        if (read_word(b, row, items[i], &word))
            bits |= 1u << word;
    }
    *SLOT_OF(uint32_t, row, target) = bits;
}

void bind_fixed(struct binder *b, const struct row *row, struct node *n, void *target)
{
    uint32_t index;
    (void)target;
    if (read_word(b, row, n, &index))
        return;
}

// ---- texts ------------------------------------------------------------------------------------

void bind_plain_text(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    if (bind_text(b, row, n, &s))
        *SLOT_OF(struct str, row, target) = s;
}

static bool read_path(struct binder *b, const struct row *row, struct node *n, struct str *out)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return false;
    *out = s;
    if (s.len > 0 && s.p[0] == '/' && memchr(s.p, '\0', s.len) == NULL)
        return true;
    struct finding *x = bind_bad(b, row, n, "config.path",
                                 "'%s' must be an absolute path, not '%.*s'", row->key, SHOW(s));
    FIX(b, x, "begin it with '/'");
    return false;
}

void bind_path(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    if (!read_path(b, row, n, &s))
        return;
    if (s.len > SOCKET_PATH_MAX) {
        struct finding *x =
            bind_bad(b, row, n, "config.path", "the path of a socket is at most %d bytes long",
                     SOCKET_PATH_MAX);
        FIX(b, x, "use a shorter path");
        return;
    }
    *SLOT_OF(struct str, row, target) = s;
}

void bind_directory(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    if (read_path(b, row, n, &s))
        *SLOT_OF(struct str, row, target) = s;
}

void bind_account(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return;
    size_t i = 0;
    while (i < s.len && (is_digit(s.p[i]) || ascii_lower(s.p[i]) != s.p[i] ||
                         (s.p[i] >= 'a' && s.p[i] <= 'z') || strchr("_-.$", s.p[i]) != NULL))
        i++;
    if (i < s.len || s.len == 0 || s.len > 32 || s.p[0] == '-') {
        struct finding *x = bind_bad(b, row, n, "config.account", "'%.*s' is not the name of a %s",
                                     SHOW(s), row->key);
        FIX(b, x, "write a name such as %s", row->example);
        return;
    }
    *SLOT_OF(struct str, row, target) = s;
}

// ---- networks ---------------------------------------------------------------------------------

static bool read_net(struct binder *b, const struct row *row, struct node *n, struct cidr *out)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return false;
    if (cidr_parse(s, out))
        return true;
    struct finding *x =
        bind_bad(b, row, n, "config.network", "'%.*s' is not an address or network", SHOW(s));
    FIX(b, x, "write 10.0.0.1, 10.0.0.0/8 or \"fd00::/8\"");
    return false;
}

void bind_nets(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct node **items;
    uint32_t count = bind_items(&n, &items), kept = 0;
    struct cidr *nets = arena_alloc(b->arena, count * sizeof(*nets));
    for (uint32_t i = 0; i < count; i++)
        kept += read_net(b, row, items[i], &nets[kept]);
    *SLOT_OF(const struct cidr *, row, target) = nets;
    *COUNT_OF(row, target) = kept;
}

// ---- addresses --------------------------------------------------------------------------------

void bind_ip(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct str s, host;
    if (!bind_text(b, row, n, &s))
        return;
    bool brackets = s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']';
    host = brackets ? (struct str){s.p + 1, s.len - 2} : s;
    if (addr_parse_ip(host, 0, SLOT_OF(struct addr, row, target)))
        return;
    struct address a;
    struct finding *x =
        bind_bad(b, row, n, "config.address", "'%.*s' is not an IP address", SHOW(s));
    if (address_parse_server(s, &a) == ADDRESS_OK && a.addr.len > 0 && a.port > 0)
        FIX(b, x, "write the port as a key of its own: {address: %.*s, port: %u}", STR_FMT(a.host),
            a.port);
    else
        FIX(b, x, "write a number: 10.0.0.1 or \"::1\"");
}

static bool read_dns_server(struct binder *b, const struct row *row, struct node *n,
                            struct addr *out)
{
    struct str s;
    struct address a;
    if (!bind_text(b, row, n, &s))
        return false;
    if (addr_parse_ip(s, DNS_PORT, out))
        return true;
    enum address_result r = address_parse_server(s, &a);
    *out = a.addr;
    if (r == ADDRESS_OK && a.addr.len > 0 && a.port > 0)
        return true;
    struct finding *x = bind_bad(b, row, n, "config.address",
                                 "'%.*s' is not the address of a name server", SHOW(s));
    FIX(b, x, "write a number, not a name: 10.0.0.53, 10.0.0.53:5353 or \"[::1]:53\"");
    return false;
}

void bind_dns_servers(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct node **items;
    uint32_t count = bind_items(&n, &items), kept = 0;
    struct addr *servers = arena_alloc(b->arena, (count + 1) * sizeof(*servers));
    for (uint32_t i = 0; i < count; i++)
        kept += read_dns_server(b, row, items[i], &servers[kept]);
    *SLOT_OF(const struct addr *, row, target) = servers;
    *COUNT_OF(row, target) = kept;
}

// ---- the access log ---------------------------------------------------------------------------

static void set_access_log(struct binder *b, const struct row *row, struct node *n,
                           struct config *c)
{
    struct str s;
    if (!bind_text(b, row, n, &s))
        return;
    if (str_eq(s, STR("stderr"))) {
        c->access_log = true;
        c->access_log_path = STR_NONE;
    } else if (read_path(b, row, n, &s)) {
        c->access_log = true;
        c->access_log_path = s;
    }
}

static void bind_long_access_log(struct binder *b, struct node *n, struct config *c)
{
    const struct object *const objects[3] = {&object_access, NULL, NULL};
    struct node *to = node_get(n, "to");
    bind_check_keys(b, n, objects);
    c->access_log = true;
    if (to != NULL)
        set_access_log(b, schema_row(&object_access, STR("to")), to, c);
}

void bind_access_log(struct binder *b, const struct row *row, struct node *n, void *target)
{
    struct config *c = &((struct root *)target)->config;
    struct str s;
    if (n->kind == NODE_MAP) {
        bind_long_access_log(b, n, c);
        return;
    }
    if (!bind_text(b, row, n, &s))
        return;
    if (s.len > 0 && (s.p[0] == '/' || str_eq(s, STR("stderr"))))
        set_access_log(b, row, n, c);
    else
        (void)read_bool(b, row, n, &c->access_log);
}

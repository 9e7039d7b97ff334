// SPDX-License-Identifier: MIT
// Words for states, shared by `ctl status` and `ctl show`. Runs in the command's own process; what
// is missing in the JSON (an older or newer evlb answers) reads as empty and is left out.
#include "cli/ctl_text.h"

#include <time.h>

#define TEXT_COLUMN 17

const char *ctl_ago(struct arena *a, const struct json_value *v, const char *key)
{
    uint64_t then = json_get_u64(v, key) / 1000, now = (uint64_t)time(NULL);
    if (then == 0)
        return NULL;
    return table_duration(a, now > then ? (now - then) * 1000 : 0);
}

const char *ctl_state(struct arena *a, const struct json_value *server)
{
    struct str state = json_get_text(server, "state");
    uint64_t left = json_get_u64(server, "skipped_for_ms");
    bool by_hand = str_eq(state, STR("drain")) || str_eq(state, STR("maint"));
    if (str_eq(json_get_text(server, "role"), STR("standby")) && str_eq(state, STR("up")))
        return "standby";
    if (by_hand)
        left = json_get_u64(json_get(server, "admin"), "ends_in_ms");
    if (left == 0 || (!by_hand && !str_eq(state, STR("skipped"))))
        return arena_strdup(a, state);
    return arena_printf(a, "%.*s %s", STR_FMT(state), table_duration(a, left + 999));
}

const char *ctl_server_why(struct arena *a, const struct json_value *server)
{
    struct str state = json_get_text(server, "state"), reason = json_get_text(server, "reason");
    const char *since = ctl_ago(a, server, "since_ms");
    if (reason.len == 0)
        reason = json_get_text(json_get(server, "admin"), "reason");
    if (reason.len == 0 && str_eq(state, STR("unresolved")))
        reason = STR("the name does not resolve");
    if (str_eq(state, STR("up")) || (reason.len == 0 && since == NULL))
        return NULL;
    return arena_printf(a, "%.*s%s%s%s%.*s", STR_FMT(state), since != NULL ? " for " : "",
                        since != NULL ? since : "", reason.len > 0 ? ": " : "", STR_FMT(reason));
}

const char *ctl_working(struct arena *a, const struct json_value *backend)
{
    uint32_t all = 0, working = 0;
    const struct json_value *names = json_get(backend, "working");
    JSON_EACH(s, json_get(backend, "servers"))
    {
        all++;
    }
    JSON_EACH(name, names)
    {
        working++;
    }
    if (working == 0)
        return "none";
    if (working == 1 && all > 1)
        return arena_strdup(a, names->first->text);
    return arena_printf(a, "%u of %u", working, all);
}

const char *ctl_working_since(struct arena *a, const struct json_value *backend)
{
    const char *working = ctl_working(a, backend), *since = ctl_ago(a, backend, "switched_ms");
    uint64_t tier = json_get_u64(backend, "tier");
    if (since == NULL)
        return working;
    // what others of the same tier do is no switch: the time is that of the tier
    if (tier > 0 && !str_eq(json_get_text(backend, "failover"), STR("active-passive")))
        return arena_printf(a, "%s (tier %llu for %s)", working, (unsigned long long)tier, since);
    return arena_printf(a, "%s for %s", working, since);
}

bool ctl_first_choice_works(const struct json_value *backend)
{
    const struct json_value *names = json_get(backend, "working"), *first = NULL;
    JSON_EACH(s, json_get(backend, "servers"))
    {
        if (first == NULL || json_get_u64(s, "tier") < json_get_u64(first, "tier"))
            first = s;
    }
    if (first == NULL || names == NULL || names->first == NULL)
        return false;
    if (str_eq(json_get_text(backend, "failover"), STR("active-passive")))
        return str_eq(names->first->text, json_get_text(first, "name"));
    return json_get_u64(backend, "tier") == json_get_u64(first, "tier");
}

const char *ctl_address(struct arena *a, const struct json_value *server)
{
    struct str address = json_get_text(server, "address"), host = json_get_text(server, "host");
    if (address.len > 0)
        return arena_strdup(a, address);
    return arena_printf(a, "%.*s:%llu", STR_FMT(host),
                        (unsigned long long)json_get_u64(server, "port"));
}

uint64_t ctl_failures(const struct json_value *server)
{
    const struct json_value *counters = json_get(server, "counters");
    return json_get_u64(counters, "connect_failures") + json_get_u64(counters, "response_failures");
}

void ctl_print_item(const char *name, const char *text)
{
    for (struct str rest = str_of(text); rest.p != NULL; name = "") {
        struct str line = str_wrap(&rest, TABLE_WIDTH - TEXT_COLUMN);
        printf("  %-14s %.*s\n", name, STR_FMT(line));
    }
}

void ctl_print_backends(struct arena *a, const struct json_value *backends)
{
    static const char *const heads[] = {"BACKEND", "MODE",   "FAILOVER",  "WORKING",
                                        ">NOW",    ">QUEUE", ">REQUESTS", ">RETRIES"};
    struct table t = {.arena = a, .heads = heads, .columns = ARRAY_LEN(heads)};
    JSON_EACH(b, backends)
    {
        const struct json_value *counters = json_get(b, "counters");
        struct str name = json_get_text(b, "name"), mode = json_get_text(b, "mode");
        struct str failover = json_get_text(b, "failover");
        table_cell(&t, "%.*s", STR_FMT(name));
        table_cell(&t, "%.*s", STR_FMT(mode));
        table_cell(&t, "%.*s", STR_FMT(failover));
        table_cell(&t, "%s", ctl_working(a, b));
        table_count(&t, json_get_u64(b, "in_flight"));
        table_count(&t, json_get_u64(b, "queue_length"));
        table_count(&t, json_get_u64(counters, "requests"));
        table_count(&t, json_get_u64(counters, "retries"));
    }
    table_print(&t, stdout, TABLE_WIDTH);
}

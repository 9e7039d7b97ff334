/* SPDX-License-Identifier: MIT */
/*
 * The requests below /control/: what a test asks the simulator beside the traffic.
 *
 *   /control/count      counters of this listener as JSON
 *   /control/reset      counters to zero
 *   /control/health     state=up|down|toggle: what /healthz answers
 *   /control/default    behaviour of all later requests: the query itself; without one, none
 *   /control/listen     state=on|off: opens or closes the listening socket
 *   /control/proxy      what the PROXY header of this connection said
 *
 * name=NAME names another listener of the process, all=1 all of them. The listener that is switched
 * off is asked for through another one. Control requests are not counted as requests.
 */
#include "control.h"

#include "conn.h"
#include "plan.h"

#include <string.h>

struct order {
    struct slice state;
    struct slice name;
    struct slice behaviour; /* the whole query */
    bool all;
};

typedef bool (*action)(struct listener *ls, const struct order *o, struct buf *out);

static bool do_count(struct listener *ls, const struct order *o, struct buf *out)
{
    (void)o;
    counters_json(&ls->count, ls->name, out);
    return true;
}

static bool do_reset(struct listener *ls, const struct order *o, struct buf *out)
{
    (void)o;
    counters_reset(&ls->count);
    buf_addf(out, "%s reset", ls->name);
    return true;
}

static bool do_health(struct listener *ls, const struct order *o, struct buf *out)
{
    bool toggle = slice_is(o->state, "toggle"), up = slice_is(o->state, "up");
    if (o->state.len && !toggle && !up && !slice_is(o->state, "down"))
        return false;
    if (o->state.len)
        ls->healthy = toggle ? !ls->healthy : up;
    buf_addf(out, "%s %s", ls->name, ls->healthy ? "up" : "down");
    return true;
}

/* name= and all= are this request's own and no behaviour. */
static void without_own(struct slice query, struct buf *out)
{
    while (query.len) {
        struct slice one = slice_cut(&query, '&');
        if (one.len == 0 || slice_starts(one, "name=") || slice_is(one, "all=1"))
            continue;
        if (out->len)
            buf_add_text(out, "&");
        buf_add_slice(out, one);
    }
}

static bool do_default(struct listener *ls, const struct order *o, struct buf *out)
{
    struct buf query = {0};
    struct plan p;
    plan_init(&p);
    without_own(o->behaviour, &query);
    bool good = plan_read(&p, buf_slice(&query)) && p.ignored.len == 0;
    if (good) {
        buf_clear(&ls->defaults);
        buf_add_slice(&ls->defaults, buf_slice(&query));
        buf_addf(out, "%s default ", ls->name);
        buf_add_slice(out, buf_slice(&query));
    }
    plan_free(&p);
    buf_free(&query);
    return good;
}

static bool do_listen(struct listener *ls, const struct order *o, struct buf *out)
{
    bool on = slice_is(o->state, "on");
    if ((!on && !slice_is(o->state, "off")) || !listener_switch(ls, on))
        return false;
    buf_addf(out, "%s %s", ls->name, on ? "on" : "off");
    return true;
}

static void read_order(struct slice query, struct order *o)
{
    *o = (struct order){.behaviour = query};
    while (query.len) {
        struct slice value = slice_cut(&query, '&');
        struct slice name = slice_cut(&value, '=');
        if (slice_is(name, "state"))
            o->state = value;
        else if (slice_is(name, "name"))
            o->name = value;
        else if (slice_is(name, "all"))
            o->all = slice_is(value, "1");
    }
}

static int run_for(struct conn *c, action act, const struct order *o, struct buf *out)
{
    struct sim *sim = c->sim;
    struct listener *one = o->name.len ? listener_find(sim, o->name) : c->listener;
    bool good = one != NULL, json = act == do_count;
    if (o->all && json)
        buf_add_text(out, "[");
    for (size_t i = 0; i < sim->listener_count && good; i++) {
        struct listener *ls = &sim->listeners[i];
        if (!o->all && ls != one)
            continue;
        if (o->all && i)
            buf_add_text(out, json ? ",\n" : "\n");
        good = act(ls, o, out);
    }
    if (o->all && json)
        buf_add_text(out, "]");
    buf_add_text(out, good ? "\n" : "bad value\n");
    return good ? 200 : 400;
}

int control_answer(struct conn *c, const struct request *req, struct buf *out)
{
    static const struct {
        const char *path;
        action act;
    } rows[] = {{"/control/count", do_count},
                {"/control/reset", do_reset},
                {"/control/health", do_health},
                {"/control/default", do_default},
                {"/control/listen", do_listen}};
    struct order o;
    read_order(req->query, &o);
    if (slice_is(req->path, "/control/proxy")) {
        proxy_info_text(&c->proxy, out);
        return 200;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (slice_is(req->path, rows[i].path))
            return run_for(c, rows[i].act, &o, out);
    }
    buf_add_text(out, "no such control\n");
    return 404;
}

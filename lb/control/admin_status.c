// SPDX-License-Identifier: MIT
// Resources of the admin API that only read: the whole (/v1/status), whether it serves
// (/v1/ready), processes and frontends. Runs in control.
#include "conf/words.h"
#include "control/admin_parts.h"

// ---- processes ----------------------------------------------------------------------------------

static const char *process_state_name(uint32_t state)
{
    static const char *const names[] = {
        [PROCESS_ABSENT] = "absent",
        [PROCESS_STARTING] = "starting",
        [PROCESS_READY] = "ready",
        [PROCESS_WAITING] = "waiting",
    };
    return state < ARRAY_LEN(names) ? names[state] : "unknown";
}

static const char *service_state_name(uint32_t state)
{
    static const char *const names[] = {
        [SERVICE_STARTING] = "starting",
        [SERVICE_RUNNING] = "running",
        [SERVICE_DRAINING] = "draining",
    };
    return state < ARRAY_LEN(names) ? names[state] : "unknown";
}

static void put_process(const struct admin_view *v, struct json *j, const struct process_entry *p)
{
    int32_t pid = atomic_load(&p->pid);
    admin_put_u64_or_null(j, "pid", pid > 0 ? (uint64_t)pid : 0);
    json_text(j, "state", str_of(process_state_name(atomic_load(&p->state))));
    json_u64(j, "restarts", atomic_load(&p->restarts));
    json_u64(j, "uptime_ms", pid > 0 ? admin_elapsed_ms(v, atomic_load(&p->started_ms)) : 0);
}

static void put_worker(const struct admin_view *v, struct json *j, uint32_t id)
{
    json_object(j, NULL);
    json_u64(j, "id", id);
    put_process(v, j, &v->table->worker[id]);
    json_u64(j, "oldest_generation", atomic_load(&v->board->generation[id]));
    admin_put_worker_counters(v, j, id);
    json_object_end(j);
}

static void put_workers(const struct admin_view *v, struct json *j)
{
    json_array(j, "workers");
    for (uint32_t id = 0; id < v->table->workers; id++)
        put_worker(v, j, id);
    json_array_end(j);
    json_object(j, "control");
    put_process(v, j, &v->table->control);
    json_object_end(j);
    json_object(j, "logger");
    put_process(v, j, &v->table->logger);
    json_object_end(j);
}

uint16_t admin_get_workers(const struct admin_view *v, struct admin_call *c)
{
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    put_workers(v, &j);
    json_object_end(&j);
    return admin_done(c, &j);
}

// ---- frontends ----------------------------------------------------------------------------------

static void put_frontend(const struct admin_view *v, struct json *j, const struct frontend *f)
{
    json_object(j, NULL);
    json_text(j, "name", f->name);
    json_text(j, "mode", str_of(mode_words[f->mode]));
    json_array(j, "listen");
    for (uint32_t i = 0; i < f->n_listens; i++)
        admin_put_address(j, NULL, &f->listens[i].addr);
    json_array_end(j);
    json_u64(j, "connections_current",
             board_total(v->board, board_frontend_slot(v->board, f->index)));
    admin_put_u64_or_null(j, "max_connections", f->max_connections);
    admin_put_frontend_sums(v, j, f->index);
    json_object_end(j);
}

static void put_frontends(const struct admin_view *v, struct json *j)
{
    json_array(j, "frontends");
    for (uint32_t i = 0; i < v->config->n_frontends; i++)
        put_frontend(v, j, &v->config->frontends[i]);
    json_array_end(j);
}

uint16_t admin_get_frontends(const struct admin_view *v, struct admin_call *c)
{
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    put_frontends(v, &j);
    json_object_end(&j);
    return admin_done(c, &j);
}

// ---- the whole ----------------------------------------------------------------------------------

static bool any_worker_ready(const struct process_table *t)
{
    for (uint32_t i = 0; i < t->workers; i++) {
        if (atomic_load(&t->worker[i].state) == PROCESS_READY)
            return true;
    }
    return false;
}

// Ready: new connections are taken. Servers have no say: an answer 503 is an answer.
uint16_t admin_get_ready(const struct admin_view *v, struct admin_call *c)
{
    uint32_t state = atomic_load(&v->table->state);
    if (state != SERVICE_RUNNING)
        return admin_refuse(c, 503, "not-ready", "evlb is %s", service_state_name(state));
    if (!any_worker_ready(v->table))
        return admin_refuse(c, 503, "not-ready", "no worker is ready");
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    json_bool(&j, "ready", true);
    json_object_end(&j);
    return admin_done(c, &j);
}

uint16_t admin_get_status(const struct admin_view *v, struct admin_call *c)
{
    const struct process_table *t = v->table;
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    json_text(&j, "version", STR(EVLB_VERSION));
    json_text(&j, "state", str_of(service_state_name(atomic_load(&t->state))));
    json_u64(&j, "pid", (uint64_t)t->supervisor_pid);
    json_u64(&j, "started_ms", (uint64_t)t->started_wall_ms);
    json_u64(&j, "uptime_ms", admin_elapsed_ms(v, t->started_ms));
    json_u64(&j, "connections_current", board_total(v->board, board_process_slot(v->board)));
    json_u64(&j, "max_connections", t->max_connections);
    json_u64(&j, "generation", v->generation);
    put_workers(v, &j);
    put_frontends(v, &j);
    admin_put_backends(v, &j);
    json_object_end(&j);
    return admin_done(c, &j);
}

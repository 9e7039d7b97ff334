// SPDX-License-Identifier: MIT
// Reload in place. Runs in the supervisor, called by its loop; wanted by signals and by control.
//
//   jobs wait --> load, bind, give slots (reload_load.c) --fails--> answer: why; nothing has
//   changed
//                      | in force: this process, and every child that is forked from now on
//                      v
//                 LISTENERS, CONFIG to control and workers --TAKEN of all--> close what was left,
//                                                                            answer: what was done
//
// A child that cannot take it, or says nothing for TAKE_MS beyond the time that we took, is
// replaced by one that begins with it: a worker after a drain (replace.c), control at once. A child
// that dies meanwhile is replaced anyway.
//
// Invariants: one reload is in progress at a time; between "in force" and its end nothing can fail
// that would leave processes with different configurations; each request is answered once.
#include "process/reload.h"

#include "base/log.h"
#include "io/loop.h"
#include "process/access_file.h"
#include "process/certificates.h"
#include "process/certs_json.h"
#include "process/notify.h"
#include "process/requests.h"
#include "process/tickets.h"

#define TAKE_MS 5000u
#define REQUESTS_MAX 32 // that wait for one reload
#define JOBS_MAX 64
#define LINES_MAX 50 // of a plan in the log

struct job {
    struct list node; // in reload->jobs; alone while it is in progress
    enum reload_kind kind;
    char *line; // for the overlay; NULL: none
    uint32_t requests[REQUESTS_MAX];
    uint32_t n_requests;
};

struct reload {
    struct tree *tree;
    const struct supervisor_options *options;
    char *overlay; // all lines so far
    struct list jobs;
    uint32_t n_jobs;
    struct job *current; // whose configuration is in force, but not taken by all
    uint64_t deadline_ms;
    char *answer; // of the current one
    char summary[96];
    bool stopped;
};

struct reload *reload_new(struct tree *t, const struct supervisor_options *options)
{
    struct reload *r = xcalloc(1, sizeof(*r));
    r->tree = t;
    r->options = options;
    r->overlay = xstrdup(t->config->overlay.len > 0 ? t->config->overlay.p : "");
    list_init(&r->jobs);
    return r;
}

// ---- jobs -------------------------------------------------------------------------------------

static void free_job(struct job *job)
{
    free(job->line);
    free(job);
}

void reload_free(struct reload *r)
{
    if (r == NULL)
        return;
    for (struct list *node; (node = list_pop_first(&r->jobs)) != NULL;)
        free_job(list_entry(node, struct job, node));
    if (r->current != NULL)
        free_job(r->current);
    free(r->answer);
    free(r->overlay);
    free(r);
}

// The job that waits for just the same, or a new one; NULL: too many wait.
static struct job *job_for(struct reload *r, enum reload_kind kind, const char *line)
{
    LIST_EACH(node, &r->jobs)
    {
        struct job *job = list_entry(node, struct job, node);
        if (line == NULL && job->line == NULL && job->kind == kind &&
            job->n_requests < REQUESTS_MAX)
            return job;
    }
    if (r->n_jobs == JOBS_MAX)
        return NULL;
    struct job *job = xcalloc(1, sizeof(*job));
    job->kind = kind;
    job->line = line != NULL ? xstrdup(line) : NULL;
    list_append(&r->jobs, &job->node);
    r->n_jobs++;
    return job;
}

void reload_forget(struct reload *r)
{
    LIST_EACH(node, &r->jobs)
    {
        list_entry(node, struct job, node)->n_requests = 0;
    }
    if (r->current != NULL)
        r->current->n_requests = 0;
}

static void answer(struct reload *r, const struct job *job, uint32_t status, const char *text)
{
    for (uint32_t i = 0; i < job->n_requests; i++)
        control_answer(r->tree, job->requests[i], status, text);
}

void reload_signal(struct reload *r, enum reload_kind kind)
{
    if (!r->stopped)
        (void)job_for(r, kind, NULL);
}

void reload_ask(struct reload *r, uint32_t request, enum reload_kind kind, const char *line)
{
    struct job *job = r->stopped ? NULL : job_for(r, kind, line);
    if (job != NULL)
        job->requests[job->n_requests++] = request;
    else
        control_answer(r->tree, request, 1,
                       r->stopped ? "evlb is stopping\n" : "too many reloads wait already\n");
}

// ---- telling children -------------------------------------------------------------------------

// Whether it is to have the configuration in force: not the logger, and none that leaves.
static bool concerns(const struct child *c)
{
    return c->kind != CHILD_LOGGER && c->pid != 0 && !c->leaving && !c->renew;
}

static void give_up_on(struct tree *t, struct child *c, const char *why)
{
    log_warning("%s %s configuration %u; it is replaced", c->name, why, t->generation);
    if (c->kind == CHILD_CONTROL)
        child_cut(c);
    else if (replace_worker(t, c->id, 0) != NULL)
        log_debug("%s leaves by itself", c->name);
}

// The sockets that are new to a worker, in packets.
static void tell_listeners(const struct tree *t, struct child *c, uint32_t first_new)
{
    struct message m = {.type = MSG_LISTENERS};
    int fds[CHANNEL_FDS_MAX];
    for (uint32_t i = 0; i < t->listeners->n; i++) {
        const struct listener_set *set = &t->listeners->sets[i];
        if (set->number < first_new)
            continue;
        m.id[m.n_fds] = set->number;
        fds[m.n_fds++] = set->fds[c->row];
        if (m.n_fds == CHANNEL_FDS_MAX) {
            (void)child_tell(c, &m, fds);
            m.n_fds = 0;
        }
    }
    if (m.n_fds > 0)
        (void)child_tell(c, &m, fds);
}

// Who cannot be told is dying as a rule: its successor begins with what is in force. Who lives on
// is replaced like any that has not taken it, and cannot take it without its sockets.
static void tell_all(struct tree *t, const struct loading *l)
{
    const struct message m = {
        .type = MSG_CONFIG, .arg = t->generation, .value = t->limits.max_connections, .n_fds = 1};
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct child *c = &t->children[i];
        if (!concerns(c))
            continue;
        const int *fd = c->kind == CHILD_CONTROL ? &l->control_fd : &l->bundle_fd;
        if (c->kind == CHILD_WORKER)
            tell_listeners(t, c, l->first_new_listener);
        (void)child_tell(c, &m, fd);
    }
}

void reload_taken(struct reload *r, struct child *c, uint32_t generation, uint32_t status)
{
    if (status == 0)
        c->taken = MAX_OF(c->taken, MIN_OF(generation, r->tree->generation));
    else if (concerns(c))
        give_up_on(r->tree, c, "cannot take");
}

// ---- one reload -------------------------------------------------------------------------------

// Everybody's smallest, so that slots of older configurations can be given out again.
static void release_slots(struct tree *t)
{
    uint32_t oldest = t->generation;
    for (uint32_t i = 0; i < t->n_children; i++) {
        const struct child *c = &t->children[i];
        if (c->pid == 0 || c->kind == CHILD_LOGGER)
            continue;
        oldest = MIN_OF(oldest, c->kind == CHILD_WORKER ? c->oldest : c->taken);
    }
    slots_released(t->slots, oldest);
}

// At most LINES_MAX of them.
static void log_lines(enum log_level level, const char *text)
{
    uint32_t n = 0;
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1) {
        if (n++ < LINES_MAX)
            log_line(level, "%.*s", (int)(end - text), text);
    }
    if (n > LINES_MAX)
        log_line(level, "  ... and %u more", n - LINES_MAX);
}

static void fail(struct reload *r, struct job *job, const char *why)
{
    log_lines(LOG_ERROR, why);
    log_error("the reload failed, nothing was changed");
    notify_ready();
    atomic_fetch_add(&r->tree->shared->table->failed_reloads, 1);
    atomic_store(&r->tree->shared->table->last_reload_failed, 1);
    answer(r, job, 1, why);
    free_job(job);
}

// What the one who asked is told.
static char *answer_of(const struct loading *l)
{
    struct buf out = {0};
    if (l->kind == RELOAD_FILES)
        return xstrdup(l->text);
    bool fine = certs_json_changes(l->changed, l->kept, l->text, &out);
    char *text = xstrdup(fine ? buf_head(&out) : "");
    buf_release(&out);
    return text;
}

static void note_in_table(const struct tree *t)
{
    struct process_table *table = t->shared->table;
    atomic_store(&table->generation, t->generation);
    atomic_store(&table->loaded_wall_ms, clock_wall_ms());
    atomic_store(&table->last_reload_failed, 0);
    table->max_connections = t->limits.max_connections;
}

static void put_in_force(struct reload *r, struct loading *l)
{
    struct tree *t = r->tree;
    struct config *old = t->config;
    bundle_free(t->recording);
    t->recording = l->recording;
    listeners_commit(t->listeners);
    if (l->access_changed)
        access_file_change(t, l->access_fd);
    t->config = l->config;
    t->generation = l->generation;
    t->limits.max_connections = limits_connections(t->config, &t->limits);
    free(r->overlay);
    r->overlay = xstrdup(t->config->overlay.len > 0 ? t->config->overlay.p : "");
    tell_all(t, l);
    // a level that was set by hand stays until the file says another one than before; children
    // know neither that nor what the command line overrides
    requests_log_level(t, old->log_level != t->config->log_level ? t->config->log_level
                                                                 : log_get_level());
    note_in_table(t);
    tickets_changed(t, old);
    arena_free(old->arena);
}

// Everything is in force already.
static void pass_over(struct reload *r, struct job *job, const struct loading *l)
{
    char *text = answer_of(l);
    if (l->kind == RELOAD_FILES) {
        log_info("configuration %u is in force: no changes", r->tree->generation);
        atomic_store(&r->tree->shared->table->last_reload_failed, 0);
    }
    notify_ready();
    answer(r, job, 0, text);
    free(text);
    free_job(job);
}

// Children load what took us long, thousands of certificates: they have as long, and TAKE_MS.
static uint64_t deadline(uint64_t began_ms)
{
    uint64_t now_ms = clock_monotonic_ms();
    return now_ms + (now_ms - began_ms) + TAKE_MS;
}

static void begin(struct reload *r, struct job *job)
{
    struct loading l = {.kind = job->kind};
    const uint64_t began_ms = clock_monotonic_ms();
    notify_reloading(began_ms * 1000);
    release_slots(r->tree);
    if (!reload_load(r->tree, r->options, r->overlay, job->line, &l)) {
        fail(r, job, l.text);
        reload_load_done(&l);
        return;
    }
    if (!l.same || l.kind == RELOAD_CERTIFICATES)
        log_lines(l.kept > 0 ? LOG_WARNING : LOG_INFO, l.text);
    if (l.same) {
        pass_over(r, job, &l);
        reload_load_done(&l);
        return;
    }
    put_in_force(r, &l);
    r->answer = answer_of(&l);
    (void)str_copy(str_of(l.summary), r->summary, sizeof(r->summary));
    r->current = job;
    r->deadline_ms = deadline(began_ms);
    reload_load_done(&l);
}

static bool all_have_taken(const struct tree *t)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        const struct child *c = &t->children[i];
        if (concerns(c) && c->taken < t->generation)
            return false;
    }
    return true;
}

static void on_deadline(struct tree *t)
{
    for (uint32_t i = 0; i < t->n_children; i++) {
        struct child *c = &t->children[i];
        if (concerns(c) && c->taken < t->generation)
            give_up_on(t, c, "has said nothing of");
    }
}

static void finish(struct reload *r)
{
    listeners_close_left(r->tree->listeners);
    release_slots(r->tree);
    log_info("configuration %u is in force: %s", r->tree->generation, r->summary);
    notify_ready();
    answer(r, r->current, 0, r->answer);
    free_job(r->current);
    free(r->answer);
    r->current = NULL;
    r->answer = NULL;
}

void reload_stop(struct reload *r)
{
    r->stopped = true;
    if (r->current != NULL)
        finish(r);
    for (struct list *node; (node = list_pop_first(&r->jobs)) != NULL;) {
        struct job *job = list_entry(node, struct job, node);
        answer(r, job, 1, "evlb is stopping\n");
        free_job(job);
    }
}

void reload_turn(struct reload *r, uint64_t now_ms)
{
    if (r->current != NULL && now_ms >= r->deadline_ms)
        on_deadline(r->tree);
    if (r->current != NULL && (now_ms >= r->deadline_ms || all_have_taken(r->tree)))
        finish(r);
    struct list *node = r->current == NULL ? list_pop_first(&r->jobs) : NULL;
    if (node == NULL)
        return;
    r->n_jobs--;
    begin(r, list_entry(node, struct job, node));
}

uint64_t reload_next_ms(const struct reload *r)
{
    if (r->current != NULL)
        return r->deadline_ms;
    return list_empty(&r->jobs) ? UINT64_MAX : 0;
}

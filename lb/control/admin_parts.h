// SPDX-License-Identifier: MIT
// What the files of the admin API share: the handlers, and pieces of JSON that several of them
// write. Included by admin_*.c alone.
#ifndef EVLB_ADMIN_PARTS_H
#define EVLB_ADMIN_PARTS_H

#include "base/json.h"
#include "base/json_read.h"
#include "control/admin_api.h"

// ---- admin_api.c: for handlers ----
// The end of an answer that was written: 200, or out of memory.
uint16_t admin_done(struct admin_call *c, struct json *j) MUST_CHECK;
// {"done":true}
uint16_t admin_done_alone(struct admin_call *c) MUST_CHECK;
// What is asked for, in words, for the audit line.
void admin_deed(struct admin_call *c, struct str object, const char *fmt, ...) PRINTF_LIKE(3, 4);

// One member that a request body may have.
struct admin_field {
    const char *name;
    const struct json_value *value; // found; NULL: not given
};
// The body as an object that has no other members than these, none of them twice. False: *why.
bool admin_fields(struct admin_call *c, struct admin_field *fields, size_t n,
                  const char **why) MUST_CHECK;
// The text of a member that may be missing ("" then). False: it is something else.
bool admin_field_text(const struct admin_field *f, struct str *text) MUST_CHECK;
uint16_t admin_refuse_body(struct admin_call *c, const char *why) MUST_CHECK;
// The value of `key` in the query; p NULL: not there.
struct str admin_query(const struct admin_call *c, const char *key);

// Sends an ASK to the supervisor. ADMIN_LATER, or a refusal when it cannot be reached.
uint16_t admin_ask(const struct admin_view *v, struct admin_call *c, enum ask what, uint32_t value,
                   struct str text) MUST_CHECK;

// The same for an answer that is JSON already.
uint16_t admin_ask_json(const struct admin_view *v, struct admin_call *c, enum ask what) MUST_CHECK;

// ---- admin_json.c: pieces of answers ----
void admin_put_frontend_sums(const struct admin_view *v, struct json *j, uint32_t slot);
void admin_put_backend_sums(const struct admin_view *v, struct json *j, uint32_t slot);
void admin_put_server_sums(const struct admin_view *v, struct json *j, uint32_t slot);
void admin_put_worker_counters(const struct admin_view *v, struct json *j, uint32_t worker);
void admin_put_address(struct json *j, const char *key, const struct addr *a);
// null when it is empty or 0
void admin_put_text_or_null(struct json *j, const char *key, struct str text);
void admin_put_u64_or_null(struct json *j, const char *key, uint64_t value);
uint64_t admin_elapsed_ms(const struct admin_view *v, uint64_t since_ms);

// ---- admin_status.c ----
admin_handler admin_get_status, admin_get_workers, admin_get_ready, admin_get_frontends;
// ---- admin_backends.c ----
admin_handler admin_get_backends, admin_get_backend, admin_post_switch;
void admin_put_backends(const struct admin_view *v, struct json *j);
// The backend of that name; NULL: refused, *status is the answer.
const struct backend *admin_find_backend(const struct admin_view *v, struct admin_call *c,
                                         struct str name, uint16_t *status);
// ---- admin_servers.c ----
#define ADMIN_WEIGHT_MAX 256u
admin_handler admin_get_server, admin_patch_server;
void admin_put_server(const struct admin_view *v, struct json *j, const struct server *s);
const struct server *admin_find_server(const struct admin_view *v, struct admin_call *c,
                                       uint16_t *status);
// ---- admin_overlay.c ----
admin_handler admin_post_server, admin_delete_server;
// ---- admin_changes.c ----
admin_handler admin_post_reload, admin_post_restart, admin_post_upgrade, admin_put_log_level,
    admin_post_log_reopen, admin_post_plan, admin_get_certs, admin_post_certs_reload;
// ---- admin_sessions.c ----
admin_handler admin_get_sessions;
// ---- admin_events.c ----
admin_handler admin_get_events;

#endif

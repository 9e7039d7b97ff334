// SPDX-License-Identifier: MIT
// What the admin API changes on evlb as a whole: reload, what a reload would do, restart of a
// worker, upgrade, the log. Runs in control. All but the plan are done by the supervisor: the call
// waits for its answer.
#include "conf/bundle.h"
#include "conf/plan.h"
#include "conf/words.h"
#include "control/admin_parts.h"

uint16_t admin_post_reload(const struct admin_view *v, struct admin_call *c)
{
    admin_deed(c, STR(""), "reload");
    return admin_ask(v, c, ASK_RELOAD, 0, STR_NONE);
}

uint16_t admin_post_restart(const struct admin_view *v, struct admin_call *c)
{
    uint64_t id;
    if (!str_to_u64(c->arg[0], &id) || id >= v->table->workers)
        return admin_refuse(c, 404, "not-found", "there is no worker '%.*s': they are 0 to %u",
                            (int)MIN_OF(c->arg[0].len, 20), c->arg[0].p, v->table->workers - 1);
    admin_deed(c, STR(""), "restart worker %u", (unsigned)id);
    return admin_ask(v, c, ASK_RESTART_WORKER, (uint32_t)id, STR_NONE);
}

uint16_t admin_post_upgrade(const struct admin_view *v, struct admin_call *c)
{
    admin_deed(c, STR(""), "upgrade");
    return admin_ask(v, c, ASK_UPGRADE, 0, STR_NONE);
}

// {"level":"debug"}
uint16_t admin_put_log_level(const struct admin_view *v, struct admin_call *c)
{
    const char *why;
    struct str word;
    struct admin_field field = {.name = "level"};
    if (!admin_fields(c, &field, 1, &why))
        return admin_refuse_body(c, why);
    if (!admin_field_text(&field, &word))
        return admin_refuse_body(c, "'level' is a text");
    for (uint32_t level = 0; log_level_words[level] != NULL; level++) {
        if (!str_eq(word, str_of(log_level_words[level])))
            continue;
        admin_deed(c, STR(""), "log level %s", log_level_words[level]);
        return admin_ask(v, c, ASK_LOG_LEVEL, level, STR_NONE);
    }
    return admin_refuse_body(c, "'level' is one of: error, warning, info, debug");
}

uint16_t admin_post_log_reopen(const struct admin_view *v, struct admin_call *c)
{
    admin_deed(c, STR(""), "reopen the logs");
    return admin_ask(v, c, ASK_LOG_REOPEN, 0, STR_NONE);
}

uint16_t admin_get_certs(const struct admin_view *v, struct admin_call *c)
{
    return admin_ask_json(v, c, ASK_CERTS);
}

uint16_t admin_post_certs_reload(const struct admin_view *v, struct admin_call *c)
{
    admin_deed(c, STR(""), "reload certificates");
    return admin_ask_json(v, c, ASK_CERTS_RELOAD);
}

// ---- what a reload would change -----------------------------------------------------------------

static uint16_t put_plan(const struct admin_view *v, struct admin_call *c, const struct config *to)
{
    struct plan plan = plan_make(v->config, to, c->arena);
    struct json j = {.out = c->out};
    json_object(&j, NULL);
    json_array(&j, "changes");
    for (uint32_t i = 0; i < plan.n; i++) {
        const char sign = (char)plan.items[i].sign;
        json_object(&j, NULL);
        json_text(&j, "sign", (struct str){&sign, 1});
        json_text(&j, "object", str_of(plan.items[i].object));
        json_text(&j, "what", str_of(plan.items[i].what));
        json_object_end(&j);
    }
    json_array_end(&j);
    json_text(&j, "text", str_of(plan_text(&plan, c->arena)));
    json_object_end(&j);
    return admin_done(c, &j);
}

// The body is a bundle (conf/bundle.h): the files as the one who asks has read them. Servers added
// and removed at run time stand over them, as they would after a reload.
uint16_t admin_post_plan(const struct admin_view *v, struct admin_call *c)
{
    char why[BUNDLE_WHY];
    c->deed[0] = '\0'; // nothing is changed
    struct config *to = bundle_load_over(c->body, v->config->overlay, why);
    if (to == NULL)
        return admin_refuse(c, 400, "bad-bundle",
                            "the body is no configuration that this version can load: %s", why);
    uint16_t status = put_plan(v, c, to);
    arena_free(to->arena);
    return status;
}

// SPDX-License-Identifier: MIT
// libFuzzer target for the dialogues of health checks. The first two bytes choose the protocol,
// what it is to find out and the size of the pieces; the rest is what a server says until it
// closes. However the bytes are cut, what is sent, the verdict and its reason must be the same, and
// a dialogue must never want more than its owner keeps.
#include "proto/dialogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum protocol { TEXT, HTTP, MYSQL, POSTGRES, REDIS, SMTP, PROTOCOLS };

union any {
    struct dialogue base;
    struct dialogue_text text;
    struct dialogue_http http;
    struct dialogue_mysql mysql;
    struct dialogue_postgres postgres;
    struct dialogue_redis redis;
    struct dialogue_smtp smtp;
};

struct outcome {
    enum dialogue_step result;
    char reason[DIALOGUE_REASON];
    struct buf out;
};

static void begin(union any *d, enum protocol protocol, enum dialogue_role role, bool secret)
{
    static const struct dialogue_range statuses = {200, 399};
    struct str user = STR("evlb"), password = secret ? STR("geheim") : STR_NONE;
    switch (protocol) {
    case HTTP:
        d->http = (struct dialogue_http){.method = STR("GET"),
                                         .path = STR("/"),
                                         .host = STR("x"),
                                         .statuses = &statuses,
                                         .n_statuses = 1,
                                         .body = secret ? STR("up") : STR_NONE};
        dialogue_http_init(&d->http);
        break;
    case MYSQL:
        d->mysql = (struct dialogue_mysql){
            .user = user, .password = password, .role = role, .max_lag_ms = 10000};
        dialogue_mysql_init(&d->mysql);
        break;
    case POSTGRES:
        d->postgres = (struct dialogue_postgres){.user = user, .password = password, .role = role};
        dialogue_postgres_init(&d->postgres);
        break;
    case REDIS:
        d->redis = (struct dialogue_redis){.user = user, .password = password, .role = role};
        dialogue_redis_init(&d->redis);
        break;
    case SMTP:
        d->smtp = (struct dialogue_smtp){.helo = STR("lb")};
        dialogue_smtp_init(&d->smtp);
        break;
    case TEXT:
    case PROTOCOLS:
        d->text = (struct dialogue_text){.send = STR("hello"), .expect = STR("OK")};
        dialogue_text_init(&d->text);
        break;
    }
}

// One step with exactly these bytes: nothing readable behind them.
static enum dialogue_step step(struct dialogue *d, struct outcome *o, char *in, size_t *n, bool eof)
{
    size_t used = 0;
    char *copy = malloc(*n + 1);
    lb_assert(copy != NULL);
    memcpy(copy + 1, in, *n);
    enum dialogue_step result =
        d->step(d, (struct str){copy + 1, *n}, eof, &used, &o->out, o->reason);
    free(copy);
    lb_assert(used <= *n);
    *n -= used;
    memmove(in, in + used, *n);
    return result;
}

static struct outcome talk(union any *d, const char *bytes, size_t size, size_t piece)
{
    static char in[DIALOGUE_IN_MAX];
    size_t n = 0;
    struct outcome o = {.reason = ""};
    o.result = step(&d->base, &o, in, &n, false);
    for (size_t at = 0; at < size && o.result == DIALOGUE_MORE;) {
        size_t now = MIN_OF(MIN_OF(piece, size - at), sizeof(in) - n);
        lb_assert(now > 0);
        memcpy(in + n, bytes + at, now);
        n += now;
        at += now;
        o.result = step(&d->base, &o, in, &n, false);
    }
    if (o.result == DIALOGUE_MORE)
        o.result = step(&d->base, &o, in, &n, true);
    return o;
}

static void check(const struct outcome *o)
{
    lb_assert(o->result != DIALOGUE_MORE);
    lb_assert(o->result == DIALOGUE_PASSED || o->reason[0] != '\0');
    lb_assert(memchr(o->reason, '\0', sizeof(o->reason)) != NULL);
    for (const char *p = o->reason; *p != '\0'; p++)
        lb_assert(*p >= ' ' && *p <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    enum protocol protocol = (enum protocol)(data[0] % PROTOCOLS);
    enum dialogue_role role = (enum dialogue_role)(data[0] / PROTOCOLS % 3);
    bool secret = (data[0] & 0x80) != 0;
    size_t piece = 1 + data[1] % 100;
    union any d;
    begin(&d, protocol, role, secret);
    struct outcome whole = talk(&d, (const char *)data + 2, size - 2, size);
    begin(&d, protocol, role, secret);
    struct outcome pieces = talk(&d, (const char *)data + 2, size - 2, piece);
    check(&whole);
    check(&pieces);
    lb_assert(whole.result == pieces.result);
    if (protocol != HTTP) // an answer that is both wrong and cut off is one or the other
        lb_assert(strcmp(whole.reason, pieces.reason) == 0);
    lb_assert(buf_len(&whole.out) == buf_len(&pieces.out));
    if (protocol != MYSQL) // its encrypted password is another one each time
        lb_assert(buf_len(&whole.out) == 0 ||
                  memcmp(buf_head(&whole.out), buf_head(&pieces.out), buf_len(&whole.out)) == 0);
    buf_release(&whole.out);
    buf_release(&pieces.out);
    return 0;
}

// SPDX-License-Identifier: MIT
// A health check as a conversation: bytes in, bytes out, and a verdict at its end. Each protocol is
// one dialogue_*.c; pure: no clock, no socket. The owner (control/checks.c) connects, calls step()
// once with nothing, sends what it wants sent, and calls it again whenever bytes or the end of the
// connection have come. `out` always has room for a whole buffer (base/buf.h) at the first step.
#ifndef EVLB_DIALOGUE_H
#define EVLB_DIALOGUE_H

#include "base/buf.h"
#include "base/str.h"
#include "proto/h1_body.h"
#include "proto/h1_head.h"
#include "proto/mysql.h"
#include "proto/search.h"

#define DIALOGUE_REASON 96
#define DIALOGUE_IN_MAX 32768 // the owner keeps at most so many bytes that were not used yet

enum dialogue_step {
    DIALOGUE_MORE,   // needs more bytes from the server
    DIALOGUE_PASSED, // the server is fine
    DIALOGUE_FAILED, // `reason` says why: "status 503, expected 200-399"
};
// With a verdict, what is in `out` is a farewell: sent if that is possible at once, else forgotten.

struct dialogue;

// For the protocols: the reason, with what is not printable ASCII replaced, as servers' own words
// may hold anything. Returns DIALOGUE_FAILED.
enum dialogue_step dialogue_fail(char reason[DIALOGUE_REASON], const char *format, ...)
    PRINTF_LIKE(2, 3);

// `in`: what has come and was not used yet (never NULL, not at the first step either); `used`: how
// much of it is done with. `eof`: nothing comes any more. Appends what is to be sent to `out`.
typedef enum dialogue_step dialogue_step_fn(struct dialogue *d, struct str in, bool eof,
                                            size_t *used, struct buf *out,
                                            char reason[DIALOGUE_REASON]);

// The first member of every protocol's state.
struct dialogue {
    dialogue_step_fn *step;
};

struct dialogue_field {
    struct str name, value;
};
struct dialogue_range {
    uint16_t from, to;
};

// GET /healthz HTTP/1.1, Connection: close. Passes when the answer is complete (or its body longer
// than DIALOGUE_IN_MAX) and all that is expected of it holds. Strings live as long as the dialogue.
struct dialogue_http {
    struct dialogue base;
    struct str method, path, host;
    const struct dialogue_field *fields; // of the request; one given here replaces our own
    const struct dialogue_range *statuses;
    uint32_t n_fields, n_statuses;
    struct str body;              // must come within the first DIALOGUE_IN_MAX bytes; empty: any
    struct dialogue_field header; // the answer must have it; name empty: none; value empty: any
    // of dialogue_http.c
    uint32_t phase;
    uint32_t body_bytes;
    struct h1_scan scan;
    struct h1_body framing;
    struct search search;
};
void dialogue_http_init(struct dialogue_http *d);

// Sends `send`, waits for `expect` anywhere in the answer (empty: for the connection alone).
struct dialogue_text {
    struct dialogue base;
    struct str send, expect;
    bool sent; // of dialogue_text.c, as is the rest
    bool answered;
    struct search search;
};
void dialogue_text_init(struct dialogue_text *d);

enum dialogue_role { DIALOGUE_ANY, DIALOGUE_WRITABLE, DIALOGUE_REPLICA };

// Handshake, login (mysql_native_password, caching_sha2_password; an empty password needs neither),
// then the role and the lag are asked for.
struct dialogue_mysql {
    struct dialogue base;
    struct str user, password;
    enum dialogue_role role;
    uint32_t max_lag_ms; // 0: any lag
    // of dialogue_mysql.c
    uint32_t phase, query;
    uint32_t columns, column, rows;
    uint32_t where[3]; // in which column each thing that we look for stands, from 1; 0: in none
    uint8_t sequence;  // of the next packet
    enum mysql_plugin plugin;
    uint8_t scramble[MYSQL_SCRAMBLE];
    char finding[DIALOGUE_REASON]; // what speaks against the server in an answer not yet at its end
};
void dialogue_mysql_init(struct dialogue_mysql *d);

// Startup message; with a password: cleartext, md5 or SCRAM-SHA-256; then pg_is_in_recovery().
struct dialogue_postgres {
    struct dialogue base;
    struct str user, password, database; // database empty: named like the user
    enum dialogue_role role;
    uint64_t nonce[2]; // random bytes, for SCRAM
    // of dialogue_postgres.c
    uint32_t phase;
    uint8_t server_signature[32];
    char finding[DIALOGUE_REASON];
};
void dialogue_postgres_init(struct dialogue_postgres *d);

// AUTH when there is a password, PING, and ROLE when a role is wanted.
struct dialogue_redis {
    struct dialogue base;
    struct str user, password;
    enum dialogue_role role;
    uint32_t phase; // of dialogue_redis.c
};
void dialogue_redis_init(struct dialogue_redis *d);

// 220, EHLO, 250, QUIT.
struct dialogue_smtp {
    struct dialogue base;
    struct str helo;
    uint32_t phase; // of dialogue_smtp.c
};
void dialogue_smtp_init(struct dialogue_smtp *d);

#endif

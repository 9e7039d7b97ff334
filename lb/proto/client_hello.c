// SPDX-License-Identifier: MIT
// The ClientHello, read before OpenSSL or a server gets it. Runs in workers; proxy/handshake.c
// calls it.
//
// Two layers: the records are joined into one message (there may be many, of a byte each), and the
// message is taken apart in parts within parts:
//
//   record:   | 22 | 3 x | length 16 |  content: a piece of the message  |
//   message:  |  1 | length 24 | version | random 32 | <session id> | <ciphers> | <compression> |
//             | <extensions: | type 16 | <data> | ... > |
//
// Invariants: a part never reaches beyond the one it is in, whether its bytes have come or not;
// nothing beyond the bytes that came is read; a verdict once given does not change with more bytes.
#include "proto/client_hello.h"

enum {
    RECORD_HEAD = 5,
    RECORD_MAX = 16384,
    RECORD_HANDSHAKE = 22,
    MESSAGE_HEAD = 4,
    MESSAGE_CLIENT_HELLO = 1,
    RANDOM_BYTES = 32,
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_ALPN = 16,
    EXTENSION_VERSIONS = 43,
    NAME_TYPE_HOST = 0,
    VERSION_TLS13 = 0x0304,
};

// ---- the message --------------------------------------------------------------------------------

// Offsets into the message. `end` may lie behind the bytes that have come.
struct part {
    size_t at, end;
};

struct reader {
    char *bytes;
    size_t have;
    enum hello_result verdict; // HELLO_DONE until a read fails; no further read succeeds then
};

static bool reads_on(const struct reader *r)
{
    return r->verdict == HELLO_DONE;
}

static void refuse_unless(struct reader *r, bool good)
{
    if (!good && reads_on(r))
        r->verdict = HELLO_BAD;
}

// The next `n` bytes, or NULL.
static const unsigned char *take(struct reader *r, struct part *in, size_t n)
{
    refuse_unless(r, n <= in->end - in->at);
    if (reads_on(r) && in->at + n > r->have)
        r->verdict = HELLO_MORE;
    if (!reads_on(r))
        return NULL;
    in->at += n;
    return (unsigned char *)r->bytes + in->at - n;
}

static size_t take_number(struct reader *r, struct part *in, size_t width)
{
    const unsigned char *p = take(r, in, width);
    size_t value = 0;
    for (size_t i = 0; p != NULL && i < width; i++)
        value = value << 8 | p[i];
    return value;
}

// A part that begins with its length, which is at least `min` and at most `max`.
static struct part take_part(struct reader *r, struct part *in, size_t width, size_t min,
                             size_t max)
{
    size_t n = take_number(r, in, width);
    refuse_unless(r, n >= min && n <= max && n <= in->end - in->at);
    if (!reads_on(r))
        return (struct part){0, 0};
    in->at += n;
    return (struct part){in->at - n, in->at};
}

static bool has_more(const struct reader *r, const struct part *p)
{
    return reads_on(r) && p->at < p->end;
}

static void expect_end(struct reader *r, const struct part *p)
{
    refuse_unless(r, p->at == p->end);
}

// Brings the name into lower case, where it stands. False: no host has it.
static bool normalise_name(char *name, size_t *len)
{
    if (*len > 0 && name[*len - 1] == '.')
        (*len)--;
    if (*len == 0 || *len > CLIENT_HELLO_NAME_MAX || name[*len - 1] == '.')
        return false;
    for (size_t i = 0; i < *len; i++) {
        bool empty_label = name[i] == '.' && (i == 0 || name[i - 1] == '.');
        if (name[i] <= ' ' || name[i] > '~' || empty_label)
            return false;
        name[i] = ascii_lower(name[i]);
    }
    return true;
}

static void read_server_name(struct reader *r, struct part data, struct client_hello *out)
{
    struct part list = take_part(r, &data, 2, 1, SIZE_MAX);
    expect_end(r, &data);
    size_t type = take_number(r, &list, 1);
    refuse_unless(r, type == NAME_TYPE_HOST);
    struct part name = take_part(r, &list, 2, 1, CLIENT_HELLO_NAME_MAX + 1);
    expect_end(r, &list);
    size_t len = name.end - name.at;
    if (take(r, &name, len) == NULL)
        return;
    char *text = r->bytes + name.at - len;
    refuse_unless(r, normalise_name(text, &len));
    out->sni = (struct str){text, len};
}

static void read_alpn(struct reader *r, struct part data, struct client_hello *out)
{
    struct part list = take_part(r, &data, 2, 2, SIZE_MAX);
    expect_end(r, &data);
    while (has_more(r, &list)) {
        struct part name = take_part(r, &list, 1, 1, SIZE_MAX);
        if (out->n_alpn < CLIENT_HELLO_ALPNS)
            out->alpn[out->n_alpn++] = (struct str){r->bytes + name.at, name.end - name.at};
    }
}

static void read_versions(struct reader *r, struct part data, struct client_hello *out)
{
    struct part list = take_part(r, &data, 1, 2, 254);
    expect_end(r, &data);
    while (has_more(r, &list))
        out->tls13 |= take_number(r, &list, 2) == VERSION_TLS13;
}

static void read_extensions(struct reader *r, struct part all, struct client_hello *out)
{
    uint64_t seen[65536 / 64] = {0};
    while (has_more(r, &all)) {
        size_t type = take_number(r, &all, 2);
        uint64_t bit = (uint64_t)1 << type % 64;
        refuse_unless(r, (seen[type / 64] & bit) == 0);
        seen[type / 64] |= bit;
        struct part data = take_part(r, &all, 2, 0, SIZE_MAX);
        if (!reads_on(r))
            return;
        if (type == EXTENSION_SERVER_NAME)
            read_server_name(r, data, out);
        else if (type == EXTENSION_ALPN)
            read_alpn(r, data, out);
        else if (type == EXTENSION_VERSIONS)
            read_versions(r, data, out);
    }
}

// `body`: all behind the message's type and length.
static void read_hello(struct reader *r, struct part body, struct client_hello *out)
{
    size_t major = take_number(r, &body, 1);
    refuse_unless(r, major == 3);
    (void)take(r, &body, 1 + RANDOM_BYTES);
    (void)take_part(r, &body, 1, 0, 32); // session id
    struct part ciphers = take_part(r, &body, 2, 2, SIZE_MAX);
    refuse_unless(r, (ciphers.end - ciphers.at) % 2 == 0);
    (void)take_part(r, &body, 1, 1, 255); // compression
    if (!has_more(r, &body))
        return; // as before TLS had extensions
    struct part extensions = take_part(r, &body, 2, 0, SIZE_MAX);
    expect_end(r, &body);
    read_extensions(r, extensions, out);
}

// ---- the records --------------------------------------------------------------------------------

struct joined {
    size_t bytes; // of the records, seen so far
    size_t have;  // of the message
    size_t total; // of the message; 0: not known yet
};

// The next record's content is put behind what there is. HELLO_DONE: it is complete.
static enum hello_result join_record(struct str in, char *message, struct joined *j)
{
    const unsigned char *p = (const unsigned char *)in.p + j->bytes;
    size_t left = in.len - j->bytes;
    enum hello_result wrong = j->bytes == 0 ? HELLO_NOT_TLS : HELLO_BAD;
    if ((left > 0 && p[0] != RECORD_HANDSHAKE) || (left > 1 && p[1] != 3))
        return wrong;
    if (left < RECORD_HEAD)
        return HELLO_MORE;
    size_t n = (size_t)p[3] << 8 | p[4], here = MIN_OF(n, left - RECORD_HEAD);
    size_t before = j->have;
    if (n == 0 || n > RECORD_MAX || j->bytes + RECORD_HEAD + n > CLIENT_HELLO_MAX)
        return HELLO_BAD;
    memcpy(message + j->have, p + RECORD_HEAD, here);
    j->have += here;
    j->bytes += RECORD_HEAD + here;
    const unsigned char *m = (unsigned char *)message;
    if (j->have > 0 && m[0] != MESSAGE_CLIENT_HELLO)
        return HELLO_BAD;
    if (j->have >= MESSAGE_HEAD)
        j->total = MESSAGE_HEAD + ((size_t)m[1] << 16 | (size_t)m[2] << 8 | m[3]);
    if (j->total > 0 && before + n > j->total) // a client has nothing to say behind its hello
        return HELLO_BAD;
    if (j->total > j->have && j->bytes + (j->total - j->have) > CLIENT_HELLO_MAX)
        return HELLO_BAD;
    return here < n ? HELLO_MORE : HELLO_DONE;
}

enum hello_result client_hello_parse(struct str in, char *scratch, struct client_hello *out)
{
    struct joined j = {0};
    enum hello_result records = in.len > 0 ? HELLO_DONE : HELLO_MORE;
    while (records == HELLO_DONE && (j.total == 0 || j.have < j.total))
        records = join_record(in, scratch, &j);
    if (records == HELLO_NOT_TLS || records == HELLO_BAD)
        return records;
    *out = (struct client_hello){.bytes = (uint32_t)j.bytes};
    if (j.total == 0)
        return HELLO_MORE;
    struct reader r = {scratch, j.have, HELLO_DONE};
    read_hello(&r, (struct part){MESSAGE_HEAD, j.total}, out);
    return r.verdict == HELLO_BAD ? HELLO_BAD : records;
}

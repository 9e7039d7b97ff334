// SPDX-License-Identifier: MIT
// libFuzzer target for chunked bodies. What is passed on must be a message of the same kind:
// scanned again it has the same length, nothing to delete and the same content, and it is complete
// if and only if the original was. Fed in pieces the outcome must be the same.
#include "proto/h1_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TRAILER_LIMIT 200

struct outcome {
    enum h1_body_result result;
    bool done;
    size_t read, len;
    char *bytes; // what was passed on
};

// Feeds `step` bytes at a time.
static struct outcome feed(const char *in, size_t size, enum h1_body_mode mode, size_t step)
{
    struct outcome o = {.bytes = malloc(size + 1)};
    struct h1_body b;
    enum http_error e = HTTP_OK;
    lb_assert(o.bytes != NULL);
    h1_body_init(&b, BODY_CHUNKED, 0, mode, TRAILER_LIMIT);
    for (size_t n = 0; n < size && o.result == H1_BODY_OK && !b.done;) {
        size_t read = 0, out = 0;
        n += MIN_OF(step, size - n);
        size_t have = n - o.read;
        char *copy = malloc(have);
        lb_assert(copy != NULL);
        memcpy(copy, in + o.read, have);
        o.result = h1_body_scan(&b, copy, have, &read, &out, &e);
        lb_assert(out <= read && read <= have);
        memcpy(o.bytes + o.len, copy, out);
        free(copy);
        o.read += read;
        o.len += out;
    }
    lb_assert(o.result == H1_BODY_OK || e == HTTP_BAD_CHUNK || e == HTTP_BAD_TRAILER);
    o.done = b.done;
    return o;
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
    lb_assert(a->result == b->result && a->done == b->done && a->read == b->read);
    lb_assert(a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *in = (const char *)data + 1;
    size_t step = 1 + data[0] % 40;
    size--;
    struct outcome whole = feed(in, size, H1_BODY_PASS, size);
    struct outcome pieces = feed(in, size, H1_BODY_PASS, step);
    check_same(&whole, &pieces);
    struct outcome content = feed(in, size, H1_BODY_DECODE, step);
    lb_assert(content.result == whole.result && content.read == whole.read);
    struct outcome again = feed(whole.bytes, whole.len, H1_BODY_PASS, MAX_OF(whole.len, (size_t)1));
    lb_assert(again.result == H1_BODY_OK && again.done == whole.done && again.len == whole.len);
    struct outcome same = feed(whole.bytes, whole.len, H1_BODY_DECODE, 7);
    lb_assert(same.len == content.len && memcmp(same.bytes, content.bytes, same.len) == 0);
    free(whole.bytes);
    free(pieces.bytes);
    free(content.bytes);
    free(again.bytes);
    free(same.bytes);
    return 0;
}

// SPDX-License-Identifier: MIT
// HTTP/1 bodies: which of the received bytes belong to the message and may be passed on, rewritten
// in place where our reading must not differ from the next one's (RFC 9112 sections 6 and 7).
#ifndef EVLB_H1_BODY_H
#define EVLB_H1_BODY_H

#include "proto/http.h"

enum h1_body_mode {
    H1_BODY_PASS,   // keep the framing: chunk lines stay (their extensions are deleted), trailers
                    // stay but for those that may not stand there
    H1_BODY_DECODE, // delete the framing: chunk lines and trailers go, data stays
};

struct h1_body {
    enum http_framing framing;
    enum h1_body_mode mode;
    uint8_t phase;          // private to h1_body.c
    bool done;              // the message is complete
    uint32_t trailer_bytes; // seen so far, against trailer_limit
    uint32_t trailer_limit;
    uint32_t seen; // private: of an incomplete line, what was looked at already
    uint64_t left; // of the length, or of the chunk
};

// For the framing that the head announced.
void h1_body_init(struct h1_body *b, enum http_framing framing, uint64_t content_length,
                  enum h1_body_mode mode, uint32_t trailer_limit);

// Reads as far into bytes[0..n) as it can. *in bytes were read and are done with; in their place
// stand, at the front, *out <= *in bytes to pass on. What lies behind *in is either the start of an
// incomplete line (call again, with the same bytes in front, when more has arrived) or, when
// b->done, the next message's. H1_BODY_BAD: *error; *in and *out tell what was good before the
// fault, and the body must not be scanned again. For BODY_UNTIL_CLOSE everything is passed on and
// `done` is never set here.
enum h1_body_result { H1_BODY_OK, H1_BODY_BAD };
enum h1_body_result h1_body_scan(struct h1_body *b, char *bytes, size_t n, size_t *in, size_t *out,
                                 enum http_error *error) MUST_CHECK;

// True when `n` more bytes could be moved without looking at them (a length, or inside a chunk's
// data, or until close); *most says how many at the most. For splice(2).
bool h1_body_opaque(const struct h1_body *b, uint64_t *most);
// Notes that `n` opaque bytes were moved without h1_body_scan().
void h1_body_skip(struct h1_body *b, uint64_t n);

// One chunk header ("1a2b\r\n") for `n` > 0 bytes; returns its length.
#define H1_CHUNK_HEAD_MAX 18
size_t h1_chunk_head(uint64_t n, char out[H1_CHUNK_HEAD_MAX]);

#endif

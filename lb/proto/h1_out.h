// SPDX-License-Identifier: MIT
// A message head as it goes out: slices of what was received, and short texts of our own, in one
// vector for writev(2). Neighbouring slices become one, so that an unchanged run of fields costs
// one entry.
#ifndef EVLB_H1_OUT_H
#define EVLB_H1_OUT_H

#include <sys/uio.h>

#include "proto/http.h"

#define H1_OUT_VECTORS 256
#define H1_OUT_SCRATCH 16384

struct h1_out {
    struct iovec iov[H1_OUT_VECTORS];
    uint32_t n;
    uint32_t used; // of scratch
    bool overflow; // something did not fit: the head must not be sent
    size_t total;  // bytes in all entries
    char scratch[H1_OUT_SCRATCH];
};

void h1_out_reset(struct h1_out *o);
// Adds bytes that stay where they are until the vector has been sent.
void h1_out_slice(struct h1_out *o, struct str bytes);
// Adds a copy.
void h1_out_copy(struct h1_out *o, struct str bytes);
void h1_out_number(struct h1_out *o, uint64_t value);
// "name: value\r\n", as a copy.
void h1_out_field(struct h1_out *o, struct str name, struct str value);
// The field as it came: its line as a slice, or written anew when it says so.
void h1_out_line(struct h1_out *o, const struct http_field *f);

#endif

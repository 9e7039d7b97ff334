/* SPDX-License-Identifier: MIT */
#ifndef SIM_PROXY_HEADER_H
#define SIM_PROXY_HEADER_H

#include "buf.h"

/* What a PROXY header said. */
struct proxy_info {
    int version;     /* 0 = none was read */
    char command[8]; /* "PROXY" or "LOCAL" */
    char family[8];  /* "TCP4", "TCP6", "UDP4", "UDP6", "UNIX" or "UNKNOWN" */
    char src[112];   /* address as text, "-" when the header has none */
    char dst[112];
    uint16_t src_port, dst_port;
    uint16_t tlv_bytes;
};

enum proxy_result { PROXY_DONE, PROXY_MORE, PROXY_WRONG };

/* Reads a header of version 1 or 2 from the start of `in`; *used is set on DONE. */
enum proxy_result proxy_header_read(struct slice in, struct proxy_info *info, size_t *used);

/* One "key=value" per line. */
void proxy_info_text(const struct proxy_info *info, struct buf *out);

#endif

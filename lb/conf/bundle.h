// SPDX-License-Identifier: MIT
// A configuration as bytes: everything that a load read (files, patterns, environment), the
// overlay, and the slots of its objects. The supervisor records one while it loads; children load
// the same configuration from it without opening a file, so that all processes agree.
#ifndef EVLB_BUNDLE_H
#define EVLB_BUNDLE_H

#include "base/buf.h"
#include "conf/load.h"

#define BUNDLE_WHY 256

struct bundle; // a recording

// Control is not to have what was read as a secret: there the files are empty, or one empty line
// where they hold no certificate.
enum bundle_for { BUNDLE_FOR_WORKERS, BUNDLE_FOR_CONTROL };

struct bundle *bundle_new(void) MUST_CHECK;
void bundle_free(struct bundle *b);
// A source that reads from `from` and notes every answer in the bundle. `from` and the bundle live
// as long as it.
struct config_source bundle_record(struct bundle *b, const struct config_source *from) MUST_CHECK;
// A source that answers as the recording did, of the same root, text and overlay as `of`; it lives
// in `a`, and as long as nothing more is recorded.
struct config_source bundle_replay(const struct bundle *b, const struct config_source *of,
                                   struct arena *a) MUST_CHECK;
// Calls `each` with every path that was read by read_live(), whether there was something or not.
void bundle_each_live(const struct bundle *b, void (*each)(void *ctx, const char *path), void *ctx);
// Whether both recorded the same questions with the same answers.
bool bundle_same(const struct bundle *a, const struct bundle *b) MUST_CHECK;
// The recording and the slots of a loaded configuration (servers, backends, frontends in their
// order), as bytes that bundle_load() reads. False: out of memory.
// `source` is the one that was loaded from: its root, text and overlay are part of it.
bool bundle_write(struct bundle *b, const struct config_source *source, struct config *config,
                  enum bundle_for reader, struct buf *out) MUST_CHECK;

// The configuration that was recorded, with its slots. NULL: the bytes are no bundle of this
// version, or it does not load; why, in one line.
struct config *bundle_load(struct str bytes, char why[BUNDLE_WHY]) MUST_CHECK;
// The same with another overlay over it, and without slots: to be compared, not to be used.
struct config *bundle_load_over(struct str bytes, struct str overlay,
                                char why[BUNDLE_WHY]) MUST_CHECK;

#endif

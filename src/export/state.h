/* What is known of an mbox of an export, beside it in ".NAME.mbox.barid": a small file that is replaced as a whole. Pure.
 *
 *     barid-mbox 1
 *     uidvalidity 17
 *     bytes 4711               the mbox is so long,
 *     uids 1:12,14             and these messages are in it
 *     adding 900 13,15:16      or: 900 bytes more, which lie in ".NAME.mbox.part", are on their way into it
 */
#ifndef EXPORT_STATE_H
#define EXPORT_STATE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/uidset.h"

#define EXPORT_STATE_BYTES_MAX (64u << 20) /* of millions of UIDs, none beside another */

struct export_state {
    uint32_t uidvalidity;
    uint64_t bytes;
    struct uidset uids;
    uint64_t adding_bytes; /* 0: nothing is on its way */
    struct uidset adding;
};

void export_state_init(struct export_state *state);
void export_state_done(struct export_state *state);
void export_state_write(const struct export_state *state, struct buf *out);
/* state is initialised; unchanged after an error. ERR_SYNTAX. */
enum err MUST_USE export_state_read(struct slice text, struct export_state *state);

#endif

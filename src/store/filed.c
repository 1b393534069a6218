/* The mark of a sent message: what its Message-ID and its body say, whatever a program did to the other fields on the way to Sent. */
#include "store/account.h"

#include "message/summary.h"
#include "store/xxh3.h"

#include <assert.h>
#include <string.h>

#define PIECE_BYTES (64u << 10)

static enum err hash_body(const struct msg_source *source, uint64_t offset, XXH3_state_t *hash)
{
    struct buf piece;
    buf_init(&piece, 0);
    enum err e = ERR_OK;
    while (offset < source->size && e == ERR_OK) {
        size_t len =
            source->size - offset < PIECE_BYTES ? (size_t)(source->size - offset) : PIECE_BYTES;
        buf_clear(&piece);
        e = msg_source_read(source, offset, len, &piece);
        if (e == ERR_OK)
            (void)XXH3_128bits_update(hash, buf_slice(&piece).ptr, len);
        offset += len;
    }
    buf_done(&piece);
    return e;
}

enum err filed_key(struct blob *blob, unsigned char *out_key, bool *out_has)
{
    struct msg_summary summary;
    struct msg_facts facts;
    struct msg_part root;
    size_t cursor = 0;
    *out_has = false;
    TRY(msg_summary_open(blob_summary(blob), &summary));
    msg_facts(&summary, &facts);
    struct slice id = slice_trim(facts.message_id);
    if (id.len == 0 || !msg_part_next(&summary, &cursor, &root))
        return ERR_OK;
    XXH3_state_t *hash = XXH3_createState();
    assert(hash);
    (void)XXH3_128bits_reset(hash);
    (void)XXH3_128bits_update(hash, id.ptr, id.len);
    (void)XXH3_128bits_update(hash, "", 1);
    struct msg_source source = blob_source(blob);
    enum err e = hash_body(&source, root.body_offset, hash);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(hash));
    (void)XXH3_freeState(hash);
    TRY(e);
    memcpy(out_key, canonical.digest, GUID_BYTES);
    *out_has = true;
    return ERR_OK;
}

/* One FETCH while it runs. */
#ifndef SERVER_IMAP_IMAPD_FETCH_INT_H
#define SERVER_IMAP_IMAPD_FETCH_INT_H

#include "message/summary.h"
#include "server/imap/imapd_int.h"

struct imapd_fetch {
    struct imapd_session *s;
    const struct imap_att *atts;
    size_t att_count;
    unsigned need;  /* enum store_need */
    bool has_flags; /* FLAGS is among the items */
    bool sets_seen;
    struct uidset seen; /* messages that this command made \Seen */
    uint64_t seen_modseq;
    struct msg_summary summary; /* of the row, when needed */
    struct store_body *body;    /* of the row, opened when its bytes are not in it */
    struct buf text;            /* fields of a header */
    struct imapd_made made;     /* summaries to be kept */
    /* of the part last decoded for BINARY, while text holds it: another piece, or its size, costs no second decoding */
    uint32_t binary_uid; /* 0: none */
    struct msg_range binary_part;
    struct slice binary_encoding; /* of the row's summary */
    uint64_t binary_bytes;
    bool binary_has_nul;
    uint64_t answered; /* rows told */
    bool sent;                  /* a part of the row's answer may have left conn_out */
};

/* What of a range the item's partial asks for. */
void imapd_clip(const struct imap_att *att, struct msg_range *range);

/* "BODY[...] {n}" and the bytes. Streams what is big. */
enum err MUST_USE imapd_fetch_section(
    struct imapd_fetch *f, const struct store_row *row, const struct imap_att *att);

/* "BINARY[...] {n}" and the decoded bytes, or "BINARY.SIZE[...] n" (RFC 3516). ERR_DENIED: the part's encoding is not known. */
enum err MUST_USE imapd_fetch_binary(
    struct imapd_fetch *f, const struct store_row *row, const struct imap_att *att);

#endif

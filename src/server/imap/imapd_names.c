/* Mailbox names and message sets between the protocol and the store. */
#include "proto/imap/imap_utf7.h"
#include "server/imap/imapd_int.h"

_Static_assert((unsigned)IMAP_SEEN == STORE_SEEN && (unsigned)IMAP_ANSWERED == STORE_ANSWERED &&
                   (unsigned)IMAP_FLAGGED == STORE_FLAGGED &&
                   (unsigned)IMAP_DELETED == STORE_DELETED && (unsigned)IMAP_DRAFT == STORE_DRAFT,
    "system flags have the same bits in protocol and store");

enum err imapd_mailbox_name(struct imapd_session *s, struct slice wire, struct slice *out_name)
{
    struct buf name;
    buf_init(&name, MAILBOX_NAME_BYTES_MAX * 2);
    enum err e = imap_utf7_decode(wire, &name);
    struct slice copy = e == ERR_OK ? slice_dup(&s->arena, buf_slice(&name)) : SLICE_EMPTY;
    buf_done(&name);
    if (e != ERR_OK)
        return ERR_DENIED;
    if (!copy.ptr)
        return ERR_LIMIT;
    /* INBOX in any case is one mailbox (RFC 3501 §5.1), and so are its children's parents. */
    size_t level = slice_index(copy, '/');
    if (level != 5 || !slice_eq_nocase(slice_sub(copy, 0, 5), SLICE("INBOX"))) {
        *out_name = copy;
        return ERR_OK;
    }
    char *inbox = arena_alloc(&s->arena, copy.len);
    if (!inbox)
        return ERR_LIMIT;
    for (size_t i = 0; i < copy.len; i++)
        inbox[i] = i < 5 ? ascii_upper(copy.ptr[i]) : copy.ptr[i];
    *out_name = slice_from(inbox, copy.len);
    return ERR_OK;
}

enum err imapd_mailbox(struct imapd_session *s, struct slice wire, struct mailbox *out_mailbox)
{
    struct slice name;
    enum err e = imapd_mailbox_name(s, wire, &name);
    if (e == ERR_DENIED)
        return ERR_NOT_FOUND;
    TRY(e);
    TRY(account_mailbox(s->account, name, &s->arena, out_mailbox));
    return out_mailbox->exists && !out_mailbox->noselect ? ERR_OK : ERR_NOT_FOUND;
}

void imapd_uid_ranges(const struct imap_set *set, uint32_t star, struct uidset *out_uids)
{
    for (size_t i = 0; i < set->count; i++) {
        uint32_t first = set->ranges[i].first == IMAP_STAR ? star : set->ranges[i].first;
        uint32_t last = set->ranges[i].last == IMAP_STAR ? star : set->ranges[i].last;
        uidset_add_run(out_uids, first < last ? first : last, first < last ? last : first);
    }
}

enum err imapd_resolve(
    struct imapd_session *s, const struct imap_set *set, bool uid, struct uidset *out_uids)
{
    uidset_clear(out_uids);
    if (uid) {
        imapd_uid_ranges(set, uidset_max(&s->view.uids), out_uids);
        uidset_intersect(out_uids, &s->view.uids);
        return ERR_OK;
    }
    struct uidset numbers;
    uidset_init(&numbers);
    uint32_t count = (uint32_t)uidset_members(&s->view.uids);
    bool empty_star = false;
    for (size_t i = 0; count == 0 && i < set->count; i++)
        empty_star |= set->ranges[i].first == IMAP_STAR || set->ranges[i].last == IMAP_STAR;
    imapd_uid_ranges(set, count, &numbers);
    /* "1:*" in an empty mailbox is what many programs send; it names nothing. */
    bool beyond = uidset_max(&numbers) > count && !empty_star;
    for (size_t i = 0; !beyond && count && i < numbers.count; i++)
        uidset_add_run(out_uids, uidset_at(&s->view.uids, numbers.runs[i].first),
            uidset_at(&s->view.uids, numbers.runs[i].last));
    uidset_done(&numbers);
    if (beyond)
        return ERR_SYNTAX;
    uidset_intersect(out_uids, &s->view.uids);
    return ERR_OK;
}

struct store_flags imapd_store_flags(const struct imap_flags *flags)
{
    return (struct store_flags){
        .system = flags->system,
        .keywords = flags->keywords,
        .keyword_count = flags->keyword_count,
    };
}

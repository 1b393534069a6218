/* Making the keys of a SEARCH ready. */
#include "message/text.h"
#include "server/imap/imapd_search_int.h"

static enum err make_key(
    struct imapd_search *q, const struct imap_search_key *from, struct search_key **out_key);

static enum search_cost cost_of(enum imap_search_kind kind)
{
    switch (kind) {
    case IMAP_SEARCH_AND:
    case IMAP_SEARCH_OR:
    case IMAP_SEARCH_NOT:
    case IMAP_SEARCH_ALL:
    case IMAP_SEARCH_SEQ:
    case IMAP_SEARCH_UID:
    case IMAP_SEARCH_OLD:
    case IMAP_SEARCH_RECENT:
        return COST_UID;
    case IMAP_SEARCH_BEFORE:
    case IMAP_SEARCH_ON:
    case IMAP_SEARCH_SINCE:
    case IMAP_SEARCH_LARGER:
    case IMAP_SEARCH_SMALLER:
        return COST_EMAIL;
    case IMAP_SEARCH_SENTBEFORE:
    case IMAP_SEARCH_SENTON:
    case IMAP_SEARCH_SENTSINCE:
    case IMAP_SEARCH_HEADER:
        return COST_SUMMARY;
    case IMAP_SEARCH_BODY:
    case IMAP_SEARCH_TEXT:
        return COST_BODY;
    default:
        return COST_ROW;
    }
}

/* Children in the order of their cost; the parent costs what its dearest child does. */
static enum err make_list(
    struct imapd_search *q, const struct imap_search_key *from, struct search_key *key)
{
    for (const struct imap_search_key *child = from->list; child; child = child->next) {
        struct search_key *made;
        TRY(make_key(q, child, &made));
        if (made->cost > key->cost)
            key->cost = made->cost;
        struct search_key **at = &key->list;
        while (*at && (*at)->cost <= made->cost)
            at = &(*at)->next;
        made->next = *at;
        *at = made;
    }
    return ERR_OK;
}

enum err imapd_search_set(struct imapd_search *q, struct uidset **out_set)
{
    struct search_set *set = arena_zalloc(&q->s->arena, 1, sizeof *set);
    if (!set)
        return ERR_LIMIT;
    uidset_init(&set->uids);
    set->next = q->sets;
    q->sets = set;
    *out_set = &set->uids;
    return ERR_OK;
}

/* "1:*" is short, and where every second message is gone it has a run for each of the others. */
enum err imapd_search_set_made(struct imapd_search *q, const struct uidset *set)
{
    q->set_bytes += set->count * sizeof *set->runs;
    return q->set_bytes <= COMMAND_ARENA_BYTES_MAX ? ERR_OK : ERR_LIMIT;
}

static enum err make_set(
    struct imapd_search *q, const struct imap_search_key *from, struct search_key *key)
{
    TRY(imapd_search_set(q, &key->uids));
    TRY(imapd_resolve(q->s, &from->set, from->kind == IMAP_SEARCH_UID, key->uids));
    return imapd_search_set_made(q, key->uids);
}

/* To UTF-8, then folded. Without CHARSET the text is US-ASCII; what is 8-bit all the same is taken for UTF-8. */
static enum err make_text(struct imapd_search *q, struct slice text, struct slice *out_text)
{
    struct buf utf8, folded;
    buf_init(&utf8, 0);
    buf_init(&folded, 0);
    struct slice charset = q->charset.len ? q->charset : SLICE("UTF-8");
    enum err e = charset_to_utf8(charset, text, &utf8);
    if (e == ERR_OK) {
        text_fold(buf_slice(&utf8), &folded);
        struct slice copy = slice_dup(&q->s->arena, buf_slice(&folded));
        if (copy.ptr)
            *out_text = copy;
        else
            e = ERR_LIMIT;
    }
    buf_done(&utf8);
    buf_done(&folded);
    return e;
}

static enum err make_key(
    struct imapd_search *q, const struct imap_search_key *from, struct search_key **out_key)
{
    struct search_key *key = arena_zalloc(&q->s->arena, 1, sizeof *key);
    if (!key)
        return ERR_LIMIT;
    key->kind = from->kind;
    key->cost = cost_of(from->kind);
    key->number = from->number;
    key->day = from->day;
    key->field = from->field;
    switch (from->kind) {
    case IMAP_SEARCH_AND:
    case IMAP_SEARCH_OR:
    case IMAP_SEARCH_NOT:
        TRY(make_list(q, from, key));
        break;
    case IMAP_SEARCH_SEQ:
    case IMAP_SEARCH_UID:
        TRY(make_set(q, from, key));
        break;
    case IMAP_SEARCH_FLAG:
    case IMAP_SEARCH_UNFLAG:
        key->bits = from->number;
        break;
    case IMAP_SEARCH_KEYWORD:
    case IMAP_SEARCH_UNKEYWORD:
        TRY(imapd_keywords(q->s, UINT64_MAX)); /* another session may have made it */
        key->bits = imapd_keyword_bit(q->s, from->text);
        break;
    case IMAP_SEARCH_HEADER:
    case IMAP_SEARCH_BODY:
    case IMAP_SEARCH_TEXT:
        TRY(make_text(q, from->text, &key->text));
        break;
    default:
        break;
    }
    *out_key = key;
    return ERR_OK;
}

/* Takes a key of the top level into the choice of rows; true when nothing of it is left to ask. */
static bool take(struct imapd_search *q, const struct search_key *key)
{
    switch (key->kind) {
    case IMAP_SEARCH_ALL:
        return true;
    case IMAP_SEARCH_SEQ:
    case IMAP_SEARCH_UID:
        uidset_intersect(&q->candidates, key->uids);
        return true;
    case IMAP_SEARCH_RECENT:
        uidset_intersect(&q->candidates, &q->s->view.recent);
        return true;
    case IMAP_SEARCH_OLD:
        uidset_subtract(&q->candidates, &q->s->view.recent);
        return true;
    case IMAP_SEARCH_NEW:
        uidset_intersect(&q->candidates, &q->s->view.recent);
        q->flags_none |= STORE_SEEN;
        return true;
    case IMAP_SEARCH_FLAG:
    case IMAP_SEARCH_KEYWORD:
        q->flags_all |= key->bits;
        q->nothing |= key->bits == 0;
        return true;
    case IMAP_SEARCH_UNFLAG:
    case IMAP_SEARCH_UNKEYWORD:
        q->flags_none |= key->bits;
        return true;
    case IMAP_SEARCH_HEADER: /* once the table was asked */
        if (!key->uids || key->unsure)
            return false;
        uidset_intersect(&q->candidates, key->uids);
        return true;
    case IMAP_SEARCH_MODSEQ: /* "MODSEQ n" is n and above */
        if (key->number && key->number - 1 > q->modseq_above)
            q->modseq_above = key->number - 1;
        return true;
    default:
        return false;
    }
}

void imapd_search_choose(struct imapd_search *q)
{
    q->root->cost = COST_UID;
    for (struct search_key **at = &q->root->list; *at;) {
        if (take(q, *at)) {
            *at = (*at)->next;
            continue;
        }
        if ((*at)->cost > q->root->cost)
            q->root->cost = (*at)->cost;
        at = &(*at)->next;
    }
}

enum err imapd_search_prepare(struct imapd_search *q, const struct imap_search_args *args)
{
    q->charset = args->charset;
    q->wants_modseq = args->has_modseq;
    if (q->charset.len && !charset_known(q->charset)) {
        q->bad_charset = true;
        return ERR_OK;
    }
    TRY(make_key(q, args->root, &q->root));
    uidset_copy(&q->candidates, &q->s->view.uids);
    imapd_search_choose(q);
    return ERR_OK;
}

void imapd_search_done(struct imapd_search *q)
{
    for (struct search_set *set = q->sets; set; set = set->next)
        uidset_done(&set->uids);
    uidset_done(&q->candidates);
    store_body_close(q->body);
    imapd_made_done(&q->made);
    imapd_made_done(&q->filters);
}

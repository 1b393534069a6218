/* LIST and LSUB (RFC 3501 §6.3.8, §6.3.9; RFC 5258; RFC 5819; RFC 6154; RFC 3348). */
#include "base/log.h"
#include "proto/imap/imap_utf7.h"
#include "server/imap/imapd_int.h"

struct list {
    struct imapd_session *s;
    const struct imap_list_args *args;
    bool lsub;
    struct slice *patterns; /* reference and pattern together, as names are sent */
    size_t pattern_count;
    const struct mailbox *all;
    size_t count;
    struct slice parent_told; /* LSUB: the last parent that was told */
};

static bool same(char a, char b, bool nocase)
{
    return a == b || (nocase && ascii_lower(a) == ascii_lower(b));
}

/* "*" takes anything, "%" anything but "/". Linear in the name for each "*" or "%": only the last of each kind is ever tried again. A name of
 * INBOX compares its first level without case. */
static bool matches(struct slice pattern, struct slice name)
{
    bool inbox = slice_starts(name, SLICE("INBOX")) && (name.len == 5 || name.ptr[5] == '/');
    size_t p = 0, n = 0, star_p = SIZE_MAX, star_n = 0, cent_p = SIZE_MAX, cent_n = 0;
    for (;;) {
        if (p < pattern.len && pattern.ptr[p] == '*') {
            star_p = ++p;
            star_n = n;
            cent_p = SIZE_MAX;
            continue;
        }
        if (p < pattern.len && pattern.ptr[p] == '%') {
            cent_p = ++p;
            cent_n = n;
            continue;
        }
        if (p == pattern.len && n == name.len)
            return true;
        if (p < pattern.len && n < name.len && same(pattern.ptr[p], name.ptr[n], inbox && n < 5)) {
            p++;
            n++;
            continue;
        }
        if (cent_p != SIZE_MAX && cent_n < name.len && name.ptr[cent_n] != '/') {
            n = ++cent_n;
            p = cent_p;
            continue;
        }
        if (star_p == SIZE_MAX || star_n >= name.len)
            return false;
        n = ++star_n;
        p = star_p;
        cent_p = SIZE_MAX;
    }
}

static bool matches_any(const struct list *l, struct slice wire)
{
    for (size_t i = 0; i < l->pattern_count; i++)
        if (matches(l->patterns[i], wire))
            return true;
    return false;
}

static const char *use_name(enum store_special_use use)
{
    switch (use) {
    case STORE_USE_NONE:
        return "";
    case STORE_USE_ARCHIVE:
        return "\\Archive";
    case STORE_USE_DRAFTS:
        return "\\Drafts";
    case STORE_USE_JUNK:
        return "\\Junk";
    case STORE_USE_SENT:
        return "\\Sent";
    case STORE_USE_TRASH:
        return "\\Trash";
    case STORE_USE_FLAGGED:
        return "\\Flagged";
    case STORE_USE_ALL:
        return "\\All";
    }
    return "";
}

static void attribute(struct buf *out, const char *name)
{
    if (!*name)
        return;
    if (buf_slice(out).ptr[buf_len(out) - 1] != '(')
        buf_addc(out, ' ');
    buf_adds(out, name);
}

static bool is_child(struct slice name, struct slice parent)
{
    return name.len > parent.len + 1 && slice_starts(name, parent) && name.ptr[parent.len] == '/';
}

static bool selected_by(const struct list *l, const struct mailbox *m)
{
    unsigned select = l->args->select;
    if (select & IMAP_LIST_SUBSCRIBED && !m->subscribed)
        return false;
    if (select & IMAP_LIST_SPECIAL_USE && m->use == STORE_USE_NONE)
        return false;
    return m->exists || select & IMAP_LIST_SUBSCRIBED;
}

/* RECURSIVEMATCH: whether something below m is selected though m itself need not be (RFC 5258 §3.5). */
static bool child_selected(const struct list *l, size_t index)
{
    const struct mailbox *m = &l->all[index];
    bool inbox =
        slice_eq(m->name, SLICE("INBOX")); /* first in the list, its children are not next to it */
    for (size_t i = inbox ? 0 : index + 1; i < l->count; i++) {
        if (!inbox && !slice_starts(l->all[i].name, m->name))
            break; /* names with one prefix stand together */
        if (is_child(l->all[i].name, m->name) && selected_by(l, &l->all[i]))
            return true;
    }
    return false;
}

static enum err tell(struct list *l, const struct mailbox *m, struct slice wire, bool childinfo)
{
    struct imapd_session *s = l->s;
    struct buf *out = imapd_out(s);
    unsigned returns = l->args->returns;
    buf_adds(out, l->lsub ? "* LSUB (" : "* LIST (");
    if (!m->exists && !l->lsub)
        attribute(out, "\\NonExistent");
    if (m->noselect)
        attribute(out, "\\Noselect");
    if (!l->lsub && m->exists)
        attribute(out, m->has_children ? "\\HasChildren" : "\\HasNoChildren");
    if (m->subscribed && !l->lsub && (returns | l->args->select) & IMAP_LIST_SUBSCRIBED)
        attribute(out, "\\Subscribed");
    attribute(out, use_name(m->use));
    buf_adds(out, ") \"/\" ");
    imap_write_astring(out, wire);
    if (childinfo)
        buf_adds(out, " (\"CHILDINFO\" (\"SUBSCRIBED\"))");
    buf_adds(out, "\r\n");
    if (returns & IMAP_LIST_STATUS && m->exists && !m->noselect) {
        size_t start = buf_len(out);
        buf_adds(out, "* STATUS ");
        imap_write_astring(out, wire);
        buf_addc(out, ' ');
        enum err e = imapd_write_status(s, m, l->args->status_items);
        if (e == ERR_OK)
            buf_adds(out, "\r\n");
        else /* deleted meanwhile; or it cannot be read: RFC 5819 §2 lets the others be told */
            buf_truncate(out, start);
        if (e != ERR_OK && e != ERR_NOT_FOUND)
            log_error("imap.list", "conn=%llu user=%s mailbox=%s err=%s leaving its STATUS out",
                conn_id(s->conn), LOG_S(slice_of(s->user.address)), LOG_S(m->name), err_name(e));
    }
    return conn_flush_full(s->conn);
}

/* LSUB with "%": a parent that is not subscribed stands for its subscribed children (RFC 3501 §6.3.9). */
static enum err tell_parents(struct list *l, struct slice name)
{
    enum err e = ERR_OK;
    struct buf wire;
    buf_init(&wire, 0);
    for (size_t i = 0; i < name.len && e == ERR_OK; i++) {
        struct slice parent = slice_sub(name, 0, i);
        if (name.ptr[i] != '/' || slice_eq(parent, l->parent_told))
            continue;
        buf_clear(&wire);
        e = imap_utf7_encode(parent, &wire);
        bool told = e != ERR_OK || !matches_any(l, buf_slice(&wire));
        for (size_t j = 0; j < l->count && !told; j++)
            told = l->all[j].subscribed && slice_eq(l->all[j].name, parent);
        if (told)
            continue;
        l->parent_told = parent;
        struct mailbox m = { .exists = true, .noselect = true };
        e = tell(l, &m, buf_slice(&wire), false);
    }
    buf_done(&wire);
    return e;
}

static enum err list_one(struct list *l, size_t index, struct buf *wire)
{
    const struct mailbox *m = &l->all[index];
    buf_clear(wire);
    TRY(imap_utf7_encode(m->name, wire));
    struct slice name = buf_slice(wire);
    bool selected = selected_by(l, m);
    if (l->lsub && !selected)
        return ERR_OK;
    if (!matches_any(l, name))
        return l->lsub ? tell_parents(l, m->name) : ERR_OK;
    bool recursive = l->args->select & IMAP_LIST_RECURSIVE && child_selected(l, index);
    bool childinfo = recursive && l->args->select & IMAP_LIST_SUBSCRIBED;
    return selected || recursive ? tell(l, m, name, childinfo) : ERR_OK;
}

/* Reference and pattern are one string here; a name does not depend on where the user "is". */
static enum err make_patterns(struct list *l)
{
    struct imapd_session *s = l->s;
    const struct imap_list_args *args = l->args;
    l->patterns = arena_zalloc(&s->arena, args->pattern_count + 1, sizeof *l->patterns);
    if (!l->patterns)
        return ERR_LIMIT;
    for (size_t i = 0; i < args->pattern_count; i++) {
        struct slice pattern = args->patterns[i];
        if (!pattern.len)
            continue;
        struct buf whole;
        buf_init(&whole, 0);
        buf_add(&whole, args->reference);
        buf_add(&whole, pattern);
        struct slice copy = slice_dup(&s->arena, buf_slice(&whole));
        buf_done(&whole);
        if (!copy.ptr)
            return ERR_LIMIT;
        l->patterns[l->pattern_count++] = copy;
    }
    return ERR_OK;
}

static enum err list(struct imapd_session *s, struct imapd_cmd *cmd, bool lsub)
{
    struct imap_list_args args;
    TRY(imap_parse_list(&cmd->parse, lsub, &args));
    if (!args.extended && !lsub && !args.patterns[0].len) {
        buf_adds(imapd_out(s), "* LIST (\\Noselect) \"/\" \"\"\r\n");
        return imapd_ok(s, cmd, "", "That is all");
    }
    if (args.returns & IMAP_LIST_STATUS && args.status_items & IMAP_STATUS_HIGHESTMODSEQ)
        imapd_condstore_on(s);
    struct list l = { .s = s, .args = &args, .lsub = lsub };
    TRY(make_patterns(&l));
    struct mailbox *all;
    TRY(account_mailboxes(s->account, &s->arena, &all, &l.count));
    l.all = all;
    struct buf wire;
    buf_init(&wire, 0);
    enum err e = ERR_OK;
    for (size_t i = 0; i < l.count && e == ERR_OK; i++)
        e = list_one(&l, i, &wire);
    buf_done(&wire);
    TRY(e);
    return imapd_ok(s, cmd, "", "That is all");
}

enum err imapd_cmd_list(struct imapd_session *s, struct imapd_cmd *cmd)
{
    return list(s, cmd, false);
}

enum err imapd_cmd_lsub(struct imapd_session *s, struct imapd_cmd *cmd)
{
    return list(s, cmd, true);
}

/* Numbers of a mailbox. What POP3 would show is asked of account_downloads, as a session does; flags are read mailbox by mailbox. */
#include "server/core/facts.h"

#include "auth/device.h"
#include "base/clock.h"
#include "base/map.h"
#include "server/core/maildrop.h"

#include <stdlib.h>
#include <string.h>

#define DAY_S        86400
#define UNREAD_BYTES (1u << 20) /* of rows that are read at a time */

/* ---- folders ---- */

static enum err collect_folders(
    struct account *account, struct arena *arena, struct mailbox_facts *facts)
{
    struct mailbox *boxes;
    size_t count;
    TRY(account_mailboxes(account, arena, &boxes, &count));
    facts->folders = arena_zalloc(arena, count, sizeof *facts->folders);
    if (!facts->folders)
        return ERR_LIMIT;
    for (size_t i = 0; i < count; i++)
        if (boxes[i].exists && !boxes[i].noselect)
            facts->folders[facts->folder_count++] = (struct facts_folder){ .name = boxes[i].name,
                .use = boxes[i].use,
                .messages = boxes[i].messages,
                .unread = boxes[i].unseen,
                .bytes = boxes[i].bytes };
    return ERR_OK;
}

/* ---- what POP3 shows ---- */

/* The uids of a mailbox that nobody has read. out_unread is initialised. */
static enum err read_unread(struct account *account, int64_t mailbox, struct uidset *out_unread)
{
    struct store_read_args args = { .mailbox = mailbox, .flags_none = STORE_SEEN };
    struct arena arena;
    enum err e = ERR_OK;
    arena_init(&arena, UNREAD_BYTES * 4);
    args.rows_max = UNREAD_BYTES / sizeof(struct store_row);
    do {
        struct store_rows rows;
        e = account_read(account, &args, &arena, &rows);
        for (size_t i = 0; i < rows.count && e == ERR_OK; i++)
            uidset_add(out_unread, rows.at[i].uid);
        args.from_uid = e == ERR_OK ? rows.next_uid : 0;
        arena_reset(&arena);
    } while (args.from_uid);
    arena_done(&arena);
    return e;
}

static void add(struct facts_amount *amount, uint64_t bytes, bool unread)
{
    amount->messages++;
    amount->bytes += bytes;
    amount->unread += unread;
    amount->unread_bytes += unread ? bytes : 0;
}

/* What a policy shows, as it is and with window=all; the mailboxes are the same. What of them nobody has read. */
struct shown {
    struct maildrop drop, all;
    const int64_t *devices; /* that may come again */
    size_t device_count;
    struct uidset *unread; /* owned; for each of the boxes of `all` */
    struct map of_box;     /* id's bytes -> its set */
    int64_t old_before_s;
};

static void shown_done(struct shown *shown)
{
    for (size_t i = 0; i < shown->all.box_count; i++)
        uidset_done(&shown->unread[i]);
    free(shown->unread);
    map_done(&shown->of_box);
    maildrop_done(&shown->all);
    maildrop_done(&shown->drop);
}

/* To be released also after an error. */
static enum err shown_open(
    struct account *account, const struct pop_policy *policy, struct shown *shown)
{
    struct pop_policy now = *policy, all;
    now.list_per_device = false; /* as a program sees it that has taken nothing yet */
    all = now;
    all.window = POP_WINDOW_ALL;
    all.newest = 0;
    enum err e = maildrop_open(account, &now, 0, &shown->drop);
    enum err all_e = maildrop_open(account, &all, 0, &shown->all);
    e = e == ERR_OK ? all_e : e;
    shown->unread = mem_zalloc(shown->all.box_count + 1, sizeof *shown->unread);
    map_init(&shown->of_box);
    for (size_t i = 0; i < shown->all.box_count; i++) {
        uidset_init(&shown->unread[i]);
        (void)map_put(&shown->of_box, slice_from(&shown->all.boxes[i], sizeof shown->all.boxes[i]),
            &shown->unread[i]);
        if (e == ERR_OK)
            e = read_unread(account, shown->all.boxes[i], &shown->unread[i]);
    }
    return e;
}

static bool is_unread(const struct shown *shown, const struct store_download *one)
{
    const struct uidset *unread =
        map_get(&shown->of_box, slice_from(&one->mailbox, sizeof one->mailbox));
    return unread && uidset_has(unread, one->entry.uid);
}

/* which, and behind it the old of it. */
static enum err collect_drop(struct account *account, const struct shown *shown,
    const struct maildrop *drop, struct mailbox_facts *facts, enum facts_drop which)
{
    struct store_download *list;
    size_t count;
    bool damaged = false;
    TRY(account_downloads(account, &drop->view, &list, &count, &damaged));
    for (size_t i = 0; i < count; i++) {
        bool unread = is_unread(shown, &list[i]);
        add(&facts->drops[which], list[i].entry.size, unread);
        if (list[i].entry.received_s < shown->old_before_s)
            add(&facts->drops[which + 1], list[i].entry.size, unread);
    }
    free(list);
    facts->damaged |= damaged;
    return ERR_OK;
}

static int by_email(const void *a, const void *b)
{
    const struct store_download *one = a, *two = b;
    return one->entry.email < two->entry.email ? -1 : one->entry.email > two->entry.email;
}

/* What any of the devices has taken long enough ago; each message once. */
static enum err collect_due(struct account *account, const struct shown *shown,
    const struct maildrop *drop, struct mailbox_facts *facts)
{
    struct store_download_view view = drop->view;
    struct store_download *all = NULL;
    size_t all_count = 0;
    enum err e = ERR_OK;
    for (size_t i = 0; i < shown->device_count && e == ERR_OK; i++) {
        struct store_download *list = NULL;
        size_t count = 0;
        view.device = shown->devices[i];
        e = account_downloads_due(account, &view, shown->old_before_s, &list, &count);
        if (e != ERR_OK || count == 0) {
            free(e == ERR_OK ? list : NULL);
            continue;
        }
        all = mem_realloc(all, (all_count + count) * sizeof *all);
        memcpy(all + all_count, list, count * sizeof *all);
        all_count += count;
        free(list);
    }
    if (all_count > 0)
        qsort(all, all_count, sizeof *all, by_email);
    for (size_t i = 0; i < all_count && e == ERR_OK; i++)
        if (i == 0 || all[i].entry.email != all[i - 1].entry.email)
            add(&facts->drops[FACTS_DUE], all[i].entry.size, is_unread(shown, &all[i]));
    free(all);
    return e;
}

/* With POP3 off nothing is shown of what came before it is switched on. */
static enum err collect_pop(struct account *account, const struct pop_policy *policy,
    bool pop_is_on, struct shown *shown, struct mailbox_facts *facts)
{
    enum err e = shown_open(account, policy, shown);
    if (e == ERR_OK && (pop_is_on || policy->window != POP_WINDOW_NOW))
        e = collect_drop(account, shown, &shown->drop, facts, FACTS_SHOWN);
    if (e == ERR_OK)
        e = collect_drop(account, shown, &shown->all, facts, FACTS_ALL);
    if (e == ERR_OK)
        e = collect_due(account, shown, pop_is_on ? &shown->drop : &shown->all, facts);
    shown_done(shown);
    return e;
}

/* ---- all of it ---- */

enum err facts_collect(struct account *account, const struct pop_policy *policy, bool pop_is_on,
    const int64_t *devices, size_t device_count, int64_t now_s, struct arena *arena,
    struct mailbox_facts *out_facts)
{
    struct mailbox_facts facts = { .days = policy->after == POP_AFTER_DAYS && policy->after_days
                                               ? policy->after_days
                                               : FACTS_DAYS_DEFAULT };
    struct shown shown = { .devices = devices,
        .device_count = device_count,
        .old_before_s = now_s - (int64_t)facts.days * DAY_S };
    struct account_usage usage;
    TRY(account_usage(account, &usage));
    facts.messages = usage.messages;
    facts.bytes = usage.bytes;
    TRY(collect_folders(account, arena, &facts));
    TRY(account_taken(account, arena, &facts.taken, &facts.taken_count));
    TRY(collect_pop(account, policy, pop_is_on, &shown, &facts));
    *out_facts = facts;
    return ERR_OK;
}

enum err facts_of_user(struct store *store, struct directory *directory, struct slice id,
    struct arena *arena, struct mailbox_facts *out_facts)
{
    struct user user;
    struct pop_policy policy;
    struct account *account;
    struct device *list;
    size_t count;
    TRY(directory_user_by_id(directory, id, &user));
    TRY(directory_pop_policy(directory, &user, &policy));
    TRY(directory_devices(directory, &user, arena, &list, &count));
    int64_t *devices = arena_zalloc(arena, count, sizeof *devices);
    if (!devices)
        return ERR_LIMIT;
    int64_t now_s = clock_wall_s();
    size_t coming = 0; /* of those that may take mail by POP3 today */
    for (size_t i = 0; i < count; i++)
        if ((list[i].services & USER_POP3) && (!list[i].expires_s || list[i].expires_s > now_s))
            devices[coming++] = list[i].id;
    enum err e = store_account(store, id, false, &account);
    if (e == ERR_NOT_FOUND) { /* nothing came yet */
        *out_facts = (struct mailbox_facts){ .days = FACTS_DAYS_DEFAULT };
        if (policy.after == POP_AFTER_DAYS && policy.after_days)
            out_facts->days = policy.after_days;
        return ERR_OK;
    }
    TRY(e);
    e = facts_collect(account, &policy, user.services & USER_POP3, devices, coming, now_s,
        arena, out_facts);
    account_unref(account);
    return e;
}

/* ---- as lines ---- */

static const char *const use_names[] = { [STORE_USE_NONE] = "none",
    [STORE_USE_ARCHIVE] = "archive",
    [STORE_USE_DRAFTS] = "drafts",
    [STORE_USE_JUNK] = "junk",
    [STORE_USE_SENT] = "sent",
    [STORE_USE_TRASH] = "trash" };
static const char *const drop_names[FACTS_DROPS] = { "shown", "old", "all", "all-old", "due" };

const char *facts_use_name(enum store_special_use use)
{
    return (size_t)use < sizeof use_names / sizeof *use_names ? use_names[use] : use_names[0];
}

static void write_numbers(struct buf *out, const uint64_t *numbers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_addc(out, ' ');
        buf_addu(out, numbers[i]);
    }
}

void facts_write(const struct mailbox_facts *facts, struct buf *out)
{
    buf_adds(out, "usage");
    write_numbers(out, (uint64_t[]){ facts->messages, facts->bytes }, 2);
    buf_adds(out, "\ndays");
    write_numbers(out, (uint64_t[]){ facts->days }, 1);
    buf_addc(out, '\n');
    for (size_t i = 0; i < facts->folder_count; i++) {
        const struct facts_folder *folder = &facts->folders[i];
        buf_adds(out, "folder");
        write_numbers(out, (uint64_t[]){ folder->messages, folder->unread, folder->bytes }, 3);
        buf_addf(out, " %s %.*s\n", facts_use_name(folder->use), SLICE_FMT(folder->name));
    }
    for (size_t i = 0; i < FACTS_DROPS; i++) {
        const struct facts_amount *drop = &facts->drops[i];
        buf_addf(out, "pop %s", drop_names[i]);
        write_numbers(
            out, (uint64_t[]){ drop->messages, drop->bytes, drop->unread, drop->unread_bytes }, 4);
        buf_addc(out, '\n');
    }
    for (size_t i = 0; i < facts->taken_count; i++) {
        buf_adds(out, "taken");
        write_numbers(
            out, (uint64_t[]){ (uint64_t)facts->taken[i].device, facts->taken[i].messages }, 2);
        buf_addc(out, '\n');
    }
    if (facts->damaged)
        buf_adds(out, "damaged\n");
}

static enum err read_numbers(struct slice *line, uint64_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slice word;
        if (!slice_cut(line, ' ', &word))
            return ERR_SYNTAX;
        TRY(slice_to_u64(word, INT64_MAX, &out[i]));
    }
    return ERR_OK;
}

/* Room for one more. It is doubled where the count is a power of two, so that nobody keeps the capacity. */
static void *one_more(struct arena *arena, void *old, size_t count, size_t element_bytes)
{
    size_t cap = count;
    return count & (count - 1) ? old
                               : arena_grow(arena, old, &cap, count ? count * 2 : 1, element_bytes);
}

static enum err read_folder(struct slice line, struct arena *arena, struct mailbox_facts *facts)
{
    uint64_t numbers[3];
    struct slice word;
    TRY(read_numbers(&line, numbers, 3));
    if (!slice_cut(&line, ' ', &word) || line.len == 0)
        return ERR_SYNTAX;
    struct facts_folder *grown =
        one_more(arena, facts->folders, facts->folder_count, sizeof *grown);
    struct slice name = slice_dup(arena, line);
    if (!grown || !name.ptr)
        return ERR_LIMIT;
    struct facts_folder *folder = &grown[facts->folder_count++];
    *folder = (struct facts_folder){
        .name = name, .messages = numbers[0], .unread = numbers[1], .bytes = numbers[2]
    };
    for (size_t i = 0; i < sizeof use_names / sizeof *use_names; i++)
        if (slice_eq(word, slice_of(use_names[i])))
            folder->use = (enum store_special_use)i;
    facts->folders = grown;
    return ERR_OK;
}

static enum err read_drop(struct slice line, struct mailbox_facts *facts)
{
    uint64_t numbers[4];
    struct slice word;
    if (!slice_cut(&line, ' ', &word))
        return ERR_SYNTAX;
    TRY(read_numbers(&line, numbers, 4));
    for (size_t i = 0; i < FACTS_DROPS; i++)
        if (slice_eq(word, slice_of(drop_names[i])))
            facts->drops[i] =
                (struct facts_amount){ numbers[0], numbers[1], numbers[2], numbers[3] };
    return ERR_OK;
}

static enum err read_taken(struct slice line, struct arena *arena, struct mailbox_facts *facts)
{
    uint64_t numbers[2];
    TRY(read_numbers(&line, numbers, 2));
    struct store_taken *grown = one_more(arena, facts->taken, facts->taken_count, sizeof *grown);
    if (!grown)
        return ERR_LIMIT;
    grown[facts->taken_count++] =
        (struct store_taken){ .device = (int64_t)numbers[0], .messages = numbers[1] };
    facts->taken = grown;
    return ERR_OK;
}

enum err facts_read_line(struct slice line, struct arena *arena, struct mailbox_facts *facts)
{
    uint64_t numbers[2];
    struct slice word;
    if (!slice_cut(&line, ' ', &word))
        return ERR_SYNTAX;
    if (slice_eq(word, SLICE("folder")))
        return read_folder(line, arena, facts);
    if (slice_eq(word, SLICE("pop")))
        return read_drop(line, facts);
    if (slice_eq(word, SLICE("taken")))
        return read_taken(line, arena, facts);
    if (slice_eq(word, SLICE("damaged"))) {
        facts->damaged = true;
    } else if (slice_eq(word, SLICE("usage"))) {
        TRY(read_numbers(&line, numbers, 2));
        facts->messages = numbers[0];
        facts->bytes = numbers[1];
    } else if (slice_eq(word, SLICE("days"))) {
        TRY(read_numbers(&line, numbers, 1));
        facts->days = (unsigned)numbers[0];
    }
    return ERR_OK;
}

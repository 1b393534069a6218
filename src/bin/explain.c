/* Which sections of the guide a mailbox gets, and with which numbers. A section or value that the texts lack is our mistake (explain_test.c looks for them). */
#include "bin/explain_int.h"

#include "base/clock.h"
#include "bin/cli.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NEAR_PERCENT 85 /* of the quota: little room is left */

static const struct guide_value value_table[VALUE_COUNT] = {
#define N(text) { .name = #text, .kind = GUIDE_NUMBER },
#define B(text) { .name = #text, .kind = GUIDE_BYTES },
#define T(text) { .name = #text, .kind = GUIDE_TEXT },
#define W(text) { .name = #text, .kind = GUIDE_WORDS },
    EXPLAIN_VALUES
#undef N
#undef B
#undef T
#undef W
};

bool explain_knows(struct slice value_name, bool *out_is_number)
{
    for (size_t i = 0; i < VALUE_COUNT; i++)
        if (slice_eq(value_name, slice_of(value_table[i].name))) {
            *out_is_number = value_table[i].kind == GUIDE_NUMBER;
            return true;
        }
    return false;
}

void explain_number(struct explaining *x, enum value_index at, uint64_t number)
{
    x->values[at].number = number;
}

void explain_text(struct explaining *x, enum value_index at, const char *text)
{
    x->values[at].text = slice_of(text);
}

struct slice explain_section(struct explaining *x, const char *name)
{
    struct slice text;
    enum err e = guide_section(x->lang, slice_of(name), &text);
    assert(e == ERR_OK);
    if (x->said)
        buf_addf(x->said, "%s\n", name);
    return text;
}

void explain_say(struct explaining *x, const char *name)
{
    enum err e = guide_expand(x->lang, explain_section(x, name), x->values, VALUE_COUNT, x->out);
    assert(e == ERR_OK);
    buf_addc(x->out, '\n');
}

void explain_title(struct explaining *x, const char *name)
{
    if (buf_len(x->out) > 0)
        buf_addc(x->out, '\n');
    explain_say(x, name);
}

/* ---- how much there is ---- */

static uint64_t percent_of(uint64_t used, uint64_t quota)
{
    return quota ? (uint64_t)(100.0 * (double)used / (double)quota) : 0;
}

/* Whichever limit comes first: mail is refused at either. */
static bool is_nearly_full(const struct explaining *x)
{
    return x->values[VALUE_percent].number >= NEAR_PERCENT;
}

static void say_quota(struct explaining *x)
{
    const struct user *user = x->in->user;
    explain_say(x, user->quota_bytes ? "quota.some" : "quota.none");
    if (user->quota_messages)
        explain_say(x, "quota.messages");
    if (is_nearly_full(x))
        explain_say(x, "quota.near");
}

/* Its own name, or what it is for in the language of the text. */
static struct slice folder_name(struct explaining *x, const struct facts_folder *folder)
{
    char name[32];
    if (slice_eq(folder->name, SLICE("INBOX")))
        return explain_section(x, "folder.inbox");
    if (folder->use == STORE_USE_NONE || folder->use > STORE_USE_TRASH)
        return folder->name;
    snprintf(name, sizeof name, "folder.%s", facts_use_name(folder->use));
    return explain_section(x, name);
}

static void say_folders(struct explaining *x)
{
    const struct mailbox_facts *facts = x->in->facts;
    size_t empty = 0;
    explain_say(x, "folders.title");
    for (size_t i = 0; i < facts->folder_count; i++) {
        const struct facts_folder *folder = &facts->folders[i];
        empty += folder->messages == 0;
        if (folder->messages == 0)
            continue;
        x->values[VALUE_folder].text = folder_name(x, folder);
        explain_number(x, VALUE_row, folder->messages);
        explain_number(x, VALUE_row_unread, folder->unread);
        explain_number(x, VALUE_row_size, folder->bytes);
        explain_say(x, folder->unread ? "folders.row-unread" : "folders.row");
    }
    explain_number(x, VALUE_folders_empty, empty);
    if (empty > 0)
        explain_say(x, "folders.empty");
}

static void say_mailbox(struct explaining *x)
{
    const struct mailbox_facts *facts = x->in->facts;
    explain_title(x, "title");
    if (facts->messages == 0) {
        explain_say(x, "mailbox.empty");
    } else {
        explain_say(x, "mailbox.size");
        explain_say(x, x->values[VALUE_unread].number > 0 ? "mailbox.unread" : "mailbox.read");
    }
    say_quota(x);
    if (facts->messages > 0)
        say_folders(x);
    if (facts->damaged)
        explain_say(x, "mailbox.damaged");
}

/* ---- who reads it ---- */

static const char *const service_sections[USER_SERVICE_COUNT] = { "protocol.imap", "protocol.pop3",
    "protocol.submission" };

struct slice explain_device_name(struct explaining *x, const struct device *device)
{
    return device->id ? slice_of(device->name) : explain_section(x, "device.main");
}

static void say_device(struct explaining *x, const struct device *device)
{
    struct buf protocols;
    enum user_service service;
    char when[32];
    buf_init(&protocols, 0);
    for (size_t i = 0; i < USER_SERVICE_COUNT; i++)
        if (device->uses[i].last_s) {
            if (buf_len(&protocols)) {
                buf_add(&protocols, explain_section(x, "comma"));
                buf_addc(&protocols, ' ');
            }
            buf_add(&protocols, explain_section(x, service_sections[i]));
        }
    const struct device_use *last = device_last_use(device, &service);
    x->values[VALUE_device].text = explain_device_name(x, device);
    x->values[VALUE_protocols].text = buf_slice(&protocols);
    explain_text(x, VALUE_when, cli_time(last->last_s, when, sizeof when));
    explain_say(x, "devices.row");
    buf_done(&protocols);
}

static void say_devices(struct explaining *x)
{
    explain_title(x, "devices.title");
    if (x->values[VALUE_devices].number == 0) {
        explain_say(x, "devices.none");
        return;
    }
    explain_say(x, "devices.seen");
    enum user_service service;
    for (size_t i = 0; i < x->in->device_count; i++)
        if (device_last_use(&x->in->devices[i], &service))
            say_device(x, &x->in->devices[i]);
    if (x->by_main)
        explain_say(x, "devices.main-note");
}

static void say_imap(struct explaining *x)
{
    explain_title(x, "imap.title");
    explain_say(x, "imap.means");
    if (x->values[VALUE_imap_devices].number > 1)
        explain_say(x, "imap.devices");
    if (!(x->in->user->services & USER_IMAP))
        explain_say(x, "imap.off");
}

/* ---- advice ---- */

/* Whether POP3 takes mail from where the other devices look for it: erases it, or moves to Trash what nobody deleted. */
static bool pop_removes(const struct explaining *x)
{
    const struct pop_policy *policy = x->in->policy;
    return x->pop_on && (policy->dele == POP_DELE_EXPUNGE ||
                            (policy->dele == POP_DELE_TRASH && policy->after != POP_AFTER_KEEP));
}

/* One computer that keeps the mail may free the room here, if there is something to free. */
static const char *advice_for_one_full(const struct explaining *x)
{
    if (x->pop_readers == 0)
        return "advice.many-full";
    if (x->in->facts->drops[FACTS_ALL_OLD].messages == 0)
        return "advice.one-full-new";
    if (x->old.messages == 0)
        return "advice.one-full-hidden";
    return x->values[VALUE_old].number ? "advice.one-full" : "advice.many-full";
}

static const char *advice_for_one(const struct explaining *x)
{
    static const char *const deles[] = { [POP_DELE_TRASH] = "advice.one-pop-trash",
        [POP_DELE_EXPUNGE] = "advice.one-pop-removes",
        [POP_DELE_HIDE] = "advice.one-pop",
        [POP_DELE_ARCHIVE] = "advice.one-pop-archive" };
    if (is_nearly_full(x))
        return advice_for_one_full(x);
    if (!x->pop_on || x->pop_readers == 0)
        return "advice.one";
    return pop_removes(x) ? "advice.one-pop-removes" : deles[x->in->policy->dele];
}

/* The main password may be in many programs: none of them may be told to take the mail from the others. */
static const char *advice_for_main(const struct explaining *x)
{
    if (pop_removes(x))
        return "advice.main-removes";
    return is_nearly_full(x) ? "advice.main-full" : "advice.main";
}

static const char *advice(const struct explaining *x)
{
    if (x->readers == 0)
        return "advice.none";
    if (x->readers == 1)
        return x->main_reads ? advice_for_main(x) : advice_for_one(x);
    if (pop_removes(x))
        return "advice.many-removes";
    return is_nearly_full(x) ? "advice.many-full" : "advice.many";
}

static void say_advice(struct explaining *x)
{
    explain_title(x, "advice.title");
    explain_say(x, advice(x));
    explain_say(x, "advice.yours");
}

/* ---- all of it ---- */

static void count_devices(struct explaining *x)
{
    uint64_t seen = 0, imap = 0;
    for (size_t i = 0; i < x->in->device_count; i++) {
        const struct device_use *uses = x->in->devices[i].uses;
        bool by_imap = uses[0].last_s, by_pop = uses[1].last_s;
        seen += by_imap || by_pop || uses[2].last_s;
        imap += by_imap;
        x->pop_readers += by_pop;
        x->readers += by_imap || by_pop;
        x->main_reads |= x->in->devices[i].id == 0 && (by_imap || by_pop);
        x->by_main |= x->in->devices[i].id == 0 && (by_imap || by_pop || uses[2].last_s);
    }
    explain_number(x, VALUE_devices, seen);
    explain_number(x, VALUE_imap_devices, imap);
    explain_number(x, VALUE_readers, x->readers);
}

static void set_numbers(struct explaining *x)
{
    const struct explain_input *in = x->in;
    const struct facts_amount *drops = in->facts->drops;
    uint64_t unread = 0, size = percent_of(in->facts->bytes, in->user->quota_bytes),
             count = percent_of(in->facts->messages, in->user->quota_messages);
    for (size_t i = 0; i < in->facts->folder_count; i++)
        unread += in->facts->folders[i].unread;
    x->base = drops[x->pop_on ? FACTS_SHOWN : FACTS_ALL];
    x->old = drops[x->pop_on ? FACTS_OLD : FACTS_ALL_OLD];
    const struct {
        enum value_index at;
        uint64_t number;
    } rows[] = {
        { VALUE_messages, in->facts->messages },
        { VALUE_size, in->facts->bytes },
        { VALUE_unread, unread },
        { VALUE_quota, in->user->quota_bytes },
        { VALUE_quota_messages, in->user->quota_messages },
        { VALUE_percent, size > count ? size : count },
        { VALUE_percent_size, size },
        { VALUE_percent_messages, count },
        { VALUE_days, in->facts->days },
        { VALUE_shown, drops[FACTS_SHOWN].messages },
        { VALUE_shown_size, drops[FACTS_SHOWN].bytes },
        { VALUE_all, drops[FACTS_ALL].messages },
        { VALUE_all_size, drops[FACTS_ALL].bytes },
        { VALUE_base, x->base.messages },
        { VALUE_base_size, x->base.bytes },
        { VALUE_window_days, in->policy->window_days },
        { VALUE_after_days, in->policy->after_days },
        { VALUE_newest, in->policy->newest },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        explain_number(x, rows[i].at, rows[i].number);
}

void explain_write(
    enum lang lang, const struct explain_input *input, struct buf *out, struct buf *said)
{
    struct explaining x = { .lang = lang,
        .in = input,
        .out = out,
        .said = said,
        .pop_on = input->user->services & USER_POP3 };
    for (size_t i = 0; i < VALUE_COUNT; i++) {
        x.values[i] = value_table[i];
        x.values[i].text = SLICE_EMPTY;
    }
    explain_text(&x, VALUE_address, input->user->address);
    explain_text(&x, VALUE_host, input->config->hostname);
    explain_text(&x, VALUE_folders, input->policy->names);
    set_numbers(&x);
    count_devices(&x);
    say_mailbox(&x);
    say_devices(&x);
    say_imap(&x);
    explain_pop(&x);
    say_advice(&x);
    explain_settings(&x);
}

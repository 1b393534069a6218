/* Which sections of the guide a mailbox gets, and with which numbers. A section or value that the texts lack is our mistake (explain_test.c looks for them). */
#include "bin/explain.h"

#include "base/clock.h"
#include "bin/cli.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define NEAR_PERCENT 85 /* of the quota: little room is left */

const char *const explain_programs[] = { "outlook", "thunderbird", "apple-mail", "gmail",
    "fairemail", "mutt", NULL };

/* N(name): a number that a noun may stand behind; B(name): bytes; T(name): text. */
#define VALUES                                                                                     \
    N(messages)                                                                                    \
    N(unread)                                                                                      \
    B(size)                                                                                        \
    B(quota)                                                                                       \
    N(percent)                                                                                     \
    N(percent_size) N(percent_messages) N(quota_messages) N(folders_empty) N(row) N(row_unread)    \
        B(row_size) N(devices) N(readers) N(imap_devices) N(days) N(shown) B(shown_size) N(all)    \
            B(all_size) N(base) B(base_size) N(goes) B(goes_size) N(goes_unread) N(old)            \
                B(old_size) N(recent) B(recent_size) N(due) B(due_size) N(window_days)             \
                    N(after_days) N(newest) N(taken) N(here) N(imap_port) N(pop_port) N(send_port) \
                        T(address) T(host) T(folder) T(device) W(protocols) W(protocol) T(when)    \
                            T(since) T(folders) T(imap_security) T(imap_scheme) T(pop_security)    \
                                T(pop_scheme) T(send_security) T(send_scheme) T(user_url) T(port)  \
                                    T(security) T(programs)

enum value_index {
#define N(name) VALUE_##name,
#define B(name) VALUE_##name,
#define T(name) VALUE_##name,
#define W(name) VALUE_##name,
    VALUES
#undef N
#undef B
#undef T
#undef W
        VALUE_COUNT
};

static const struct guide_value value_table[VALUE_COUNT] = {
#define N(text) { .name = #text, .kind = GUIDE_NUMBER },
#define B(text) { .name = #text, .kind = GUIDE_BYTES },
#define T(text) { .name = #text, .kind = GUIDE_TEXT },
#define W(text) { .name = #text, .kind = GUIDE_WORDS },
    VALUES
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

struct explaining {
    enum lang lang;
    const struct explain_input *in;
    struct buf *out, *said;
    struct guide_value values[VALUE_COUNT];
    bool pop_on;
    struct facts_amount base, old; /* what a program could take, and the old of it */
    size_t readers;                /* devices that came by IMAP or POP3 */
    size_t pop_readers;
    bool by_main;    /* the main password is one of the devices */
    bool main_reads; /* and by IMAP or POP3: programs that nothing tells apart */
};

static void set_number(struct explaining *x, enum value_index at, uint64_t number)
{
    x->values[at].number = number;
}

static void set_text(struct explaining *x, enum value_index at, const char *text)
{
    x->values[at].text = slice_of(text);
}

static struct slice section(struct explaining *x, const char *name)
{
    struct slice text;
    enum err e = guide_section(x->lang, slice_of(name), &text);
    assert(e == ERR_OK);
    if (x->said)
        buf_addf(x->said, "%s\n", name);
    return text;
}

static void say(struct explaining *x, const char *name)
{
    enum err e = guide_expand(x->lang, section(x, name), x->values, VALUE_COUNT, x->out);
    assert(e == ERR_OK);
    buf_addc(x->out, '\n');
}

static void say_title(struct explaining *x, const char *name)
{
    if (buf_len(x->out) > 0)
        buf_addc(x->out, '\n');
    say(x, name);
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
    say(x, user->quota_bytes ? "quota.some" : "quota.none");
    if (user->quota_messages)
        say(x, "quota.messages");
    if (is_nearly_full(x))
        say(x, "quota.near");
}

/* Its own name, or what it is for in the language of the text. */
static struct slice folder_name(struct explaining *x, const struct facts_folder *folder)
{
    char name[32];
    if (slice_eq(folder->name, SLICE("INBOX")))
        return section(x, "folder.inbox");
    if (folder->use == STORE_USE_NONE || folder->use > STORE_USE_TRASH)
        return folder->name;
    snprintf(name, sizeof name, "folder.%s", facts_use_name(folder->use));
    return section(x, name);
}

static void say_folders(struct explaining *x)
{
    const struct mailbox_facts *facts = x->in->facts;
    size_t empty = 0;
    say(x, "folders.title");
    for (size_t i = 0; i < facts->folder_count; i++) {
        const struct facts_folder *folder = &facts->folders[i];
        empty += folder->messages == 0;
        if (folder->messages == 0)
            continue;
        x->values[VALUE_folder].text = folder_name(x, folder);
        set_number(x, VALUE_row, folder->messages);
        set_number(x, VALUE_row_unread, folder->unread);
        set_number(x, VALUE_row_size, folder->bytes);
        say(x, folder->unread ? "folders.row-unread" : "folders.row");
    }
    set_number(x, VALUE_folders_empty, empty);
    if (empty > 0)
        say(x, "folders.empty");
}

static void say_mailbox(struct explaining *x)
{
    const struct mailbox_facts *facts = x->in->facts;
    say_title(x, "title");
    if (facts->messages == 0) {
        say(x, "mailbox.empty");
    } else {
        say(x, "mailbox.size");
        say(x, x->values[VALUE_unread].number > 0 ? "mailbox.unread" : "mailbox.read");
    }
    say_quota(x);
    if (facts->messages > 0)
        say_folders(x);
    if (facts->damaged)
        say(x, "mailbox.damaged");
}

/* ---- who reads it ---- */

static const char *const service_sections[USER_SERVICE_COUNT] = { "protocol.imap", "protocol.pop3",
    "protocol.submission" };

static struct slice device_name(struct explaining *x, const struct device *device)
{
    return device->id ? slice_of(device->name) : section(x, "device.main");
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
                buf_add(&protocols, section(x, "comma"));
                buf_addc(&protocols, ' ');
            }
            buf_add(&protocols, section(x, service_sections[i]));
        }
    const struct device_use *last = device_last_use(device, &service);
    x->values[VALUE_device].text = device_name(x, device);
    x->values[VALUE_protocols].text = buf_slice(&protocols);
    set_text(x, VALUE_when, cli_time(last->last_s, when, sizeof when));
    say(x, "devices.row");
    buf_done(&protocols);
}

static void say_devices(struct explaining *x)
{
    say_title(x, "devices.title");
    if (x->values[VALUE_devices].number == 0) {
        say(x, "devices.none");
        return;
    }
    say(x, "devices.seen");
    enum user_service service;
    for (size_t i = 0; i < x->in->device_count; i++)
        if (device_last_use(&x->in->devices[i], &service))
            say_device(x, &x->in->devices[i]);
    if (x->by_main)
        say(x, "devices.main-note");
}

static void say_imap(struct explaining *x)
{
    say_title(x, "imap.title");
    say(x, "imap.means");
    if (x->values[VALUE_imap_devices].number > 1)
        say(x, "imap.devices");
    if (!(x->in->user->services & USER_IMAP))
        say(x, "imap.off");
}

/* ---- POP3 ---- */

static void say_policy(struct explaining *x)
{
    static const char *const folders[] = { "pop.folders-inbox", "pop.folders-all",
        "pop.folders-list" };
    static const char *const deles[] = { [POP_DELE_TRASH] = "dele.trash",
        [POP_DELE_EXPUNGE] = "dele.expunge",
        [POP_DELE_HIDE] = "dele.hide",
        [POP_DELE_ARCHIVE] = "dele.archive" };
    static const char *const afters[] = { "after.keep", "after.quit", "after.days" };
    const struct pop_policy *policy = x->in->policy;
    char since[32];
    say(x, x->values[VALUE_shown].number ? "pop.shows" : "pop.shows-none");
    say(x, folders[policy->folders]);
    if (policy->with_sent)
        say(x, "pop.sent");
    if (policy->window == POP_WINDOW_NOW && policy->since_ms) {
        set_text(x, VALUE_since, cli_time(policy->since_ms / 1000, since, sizeof since));
        say(x, "pop.window-since");
    } else if (policy->window == POP_WINDOW_DAYS) {
        say(x, "pop.window-days");
    }
    if (policy->newest)
        say(x, "pop.newest");
    if (x->values[VALUE_all].number > x->values[VALUE_shown].number)
        say(x, "pop.more");
    if (policy->list_per_device)
        say(x, "pop.list-device");
    say(x, deles[policy->dele]);
    say(x, afters[policy->after]);
    if (policy->after != POP_AFTER_KEEP && policy->unread_stays)
        say(x, "after.unread-stays");
    if (policy->mark_read)
        say(x, "pop.read-quit");
    if (policy->exclusive)
        say(x, "pop.lock");
}

/* What goes, where what nobody has read stays: all numbers but the unread ones. */
static struct facts_amount what_goes(const struct explaining *x, const struct facts_amount *amount)
{
    struct facts_amount goes = *amount;
    if (x->in->policy->unread_stays) {
        goes.messages -= goes.unread;
        goes.bytes -= goes.unread_bytes;
        goes.unread = goes.unread_bytes = 0;
    }
    return goes;
}

static void say_days(struct explaining *x)
{
    struct facts_amount old = what_goes(x, &x->old);
    struct facts_amount due = what_goes(x, &x->in->facts->drops[FACTS_DUE]);
    set_number(x, VALUE_due, due.messages);
    set_number(x, VALUE_due_size, due.bytes);
    set_number(x, VALUE_old, old.messages);
    set_number(x, VALUE_old_size, old.bytes);
    set_number(x, VALUE_recent, x->base.messages - old.messages);
    set_number(x, VALUE_recent_size, x->base.bytes - old.bytes);
    say(x, "choice.days");
    say(x, due.messages ? "choice.days-due" : "choice.days-not-yet");
    say(x, x->old.messages ? "choice.days-old" : "choice.days-none-old");
}

static void say_choices(struct explaining *x)
{
    struct facts_amount goes = what_goes(x, &x->base);
    if (x->base.messages == 0) {
        say(x, "choices.none");
        say(x, "choices.only-copy");
        return;
    }
    say(x, x->pop_on ? "choices.on" : "choices.off");
    set_number(x, VALUE_goes, goes.messages);
    set_number(x, VALUE_goes_size, goes.bytes);
    set_number(x, VALUE_goes_unread, goes.unread);
    say(x, "choice.keep");
    if (goes.messages == 0) {
        say(x, "choice.none");
    } else {
        say(x, "choice.trash");
        say(x, "choice.expunge");
        say(x, goes.unread ? "choice.expunge-unread" : "choice.expunge-read");
    }
    say_days(x);
    say(x, "choices.only-copy");
    say(x, x->pop_on ? "choices.change" : "choices.change-off");
}

static const struct device *device_by_id(const struct explain_input *in, int64_t id)
{
    for (size_t i = 0; i < in->device_count; i++)
        if (in->devices[i].id == id)
            return &in->devices[i];
    return NULL;
}

static uint64_t here_of(const struct mailbox_facts *facts, int64_t id)
{
    for (size_t i = 0; i < facts->taken_count; i++)
        if (facts->taken[i].device == id)
            return facts->taken[i].messages;
    return 0;
}

/* taken counts downloads, one that is repeated too, so it does not say how many messages are gone. It is written minutes later and may have been lost, and is not known
 * of an app password that was revoked: then it is less than what is here. */
static bool say_taken_row(struct explaining *x, struct slice name, uint64_t taken, uint64_t here)
{
    x->values[VALUE_device].text = name;
    set_number(x, VALUE_taken, taken);
    set_number(x, VALUE_here, here);
    say(x, taken > here ? "taken.row-some" : taken == here ? "taken.row" : "taken.row-here");
    return taken > here;
}

static bool any_taken(const struct explain_input *in)
{
    for (size_t i = 0; i < in->device_count; i++)
        if (in->devices[i].uses[1].retrieved)
            return true;
    return in->facts->taken_count > 0;
}

static void say_taken(struct explaining *x)
{
    const struct explain_input *in = x->in;
    bool repeated = false;
    if (!any_taken(in))
        return;
    say(x, "taken.title");
    for (size_t i = 0; i < in->device_count; i++) {
        uint64_t taken = in->devices[i].uses[1].retrieved,
                 here = here_of(in->facts, in->devices[i].id);
        if (taken || here)
            repeated |= say_taken_row(x, device_name(x, &in->devices[i]), taken, here);
    }
    for (size_t i = 0; i < in->facts->taken_count; i++)
        if (!device_by_id(in, in->facts->taken[i].device))
            (void)say_taken_row(x, section(x, "device.gone"), 0, in->facts->taken[i].messages);
    if (repeated)
        say(x, "taken.note");
}

static void say_pop(struct explaining *x)
{
    say_title(x, "pop.title");
    say(x, "pop.means");
    say(x, x->pop_on ? "pop.on" : "pop.off");
    if (x->pop_on)
        say_policy(x);
    for (size_t i = 0; i < x->in->device_count && x->pop_on; i++)
        if (x->in->own_policy[i]) {
            x->values[VALUE_device].text = device_name(x, &x->in->devices[i]);
            say(x, "pop.device");
        }
    say_choices(x);
    say_taken(x);
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
    say_title(x, "advice.title");
    say(x, advice(x));
    say(x, "advice.yours");
}

/* ---- settings ---- */

static bool is_local(const struct listener *listener)
{
    return listener->address[0] == '/' || strcmp(listener->address, "::1") == 0 ||
           strncmp(listener->address, "127.", 4) == 0;
}

struct explain_reach explain_reach(const struct config *config, enum protocol protocol)
{
    struct explain_reach best = { 0 };
    int best_rank = 0;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct listener *listener = &config->listeners[i];
        if (listener->protocol != protocol || listener->port == 0)
            continue;
        int rank = 1 + 2 * !is_local(listener) + listener->implicit_tls;
        if (rank > best_rank)
            best = (struct explain_reach){ .port = listener->port,
                .implicit_tls = listener->implicit_tls,
                .local_only = is_local(listener) };
        best_rank = rank > best_rank ? rank : best_rank;
    }
    return best;
}

struct service {
    enum protocol protocol;
    enum user_service service;
    const char *name, *end; /* sections */
    const char *padded;     /* in a table */
    const char *scheme;
    enum value_index port, security, scheme_value;
};
static const struct service services[] = {
    { PROTOCOL_IMAP, USER_IMAP, "protocol.imap", "imap", "IMAP", "imap", VALUE_imap_port,
        VALUE_imap_security, VALUE_imap_scheme },
    { PROTOCOL_POP3, USER_POP3, "protocol.pop3", "pop", "POP3", "pop", VALUE_pop_port,
        VALUE_pop_security, VALUE_pop_scheme },
    { PROTOCOL_SUBMISSION, USER_SUBMISSION, "protocol.smtp", "send", "SMTP", "smtp",
        VALUE_send_port, VALUE_send_security, VALUE_send_scheme },
};
#define SERVICES (sizeof services / sizeof *services)

static const char *security_of(struct explain_reach reach)
{
    return reach.implicit_tls ? "SSL/TLS" : "STARTTLS";
}

static void set_reach(struct explaining *x, const struct service *s, struct explain_reach reach)
{
    set_number(x, s->port, (uint64_t)reach.port);
    set_text(x, s->security, security_of(reach));
    /* "imaps" and so on where TLS begins at once */
    x->values[s->scheme_value].text = slice_of(s->scheme);
    if (reach.implicit_tls)
        x->values[s->scheme_value].text = s->protocol == PROTOCOL_IMAP   ? SLICE("imaps")
                                          : s->protocol == PROTOCOL_POP3 ? SLICE("pops")
                                                                         : SLICE("smtps");
}

static void say_row(struct explaining *x, const struct service *s, struct explain_reach reach)
{
    char port[16];
    snprintf(port, sizeof port, "%-5d", reach.port);
    x->values[VALUE_protocol].text = slice_of(s->padded);
    set_text(x, VALUE_port, port);
    set_text(x, VALUE_security, security_of(reach));
    say(x, "settings.row");
}

static void say_service(struct explaining *x, const struct service *s)
{
    char name[64];
    struct explain_reach reach = explain_reach(x->in->config, s->protocol);
    if (reach.port && x->in->program) {
        snprintf(name, sizeof name, "program.%s.%s", x->in->program, s->end);
        say(x, name);
    } else if (reach.port) {
        say_row(x, s, reach);
    }
}

static void say_limits(struct explaining *x, const struct service *s)
{
    struct explain_reach reach = explain_reach(x->in->config, s->protocol);
    x->values[VALUE_protocol].text = section(x, s->name);
    if (reach.port == 0)
        say(x, "settings.nowhere");
    else if (reach.local_only)
        say(x, "settings.local");
    if (!(x->in->user->services & s->service))
        say(x, "settings.off");
}

/* RFC 3986 §2.1 */
static void percent_encode(struct slice text, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = slice_at(text, i);
        char lower = ascii_lower((char)c);
        bool plain =
            (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
        if (plain)
            buf_addc(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

static void say_program(struct explaining *x)
{
    char name[64];
    snprintf(name, sizeof name, "program.%s", x->in->program);
    say(x, name);
    for (size_t i = 0; i < SERVICES; i++) /* what is off is of no use to a program */
        if (x->in->user->services & services[i].service)
            say_service(x, &services[i]);
}

static void say_table(struct explaining *x)
{
    say(x, "settings.head");
    for (size_t i = 0; i < SERVICES; i++)
        say_service(x, &services[i]);
}

static void say_settings(struct explaining *x)
{
    struct buf url, programs;
    buf_init(&url, 0);
    buf_init(&programs, 0);
    percent_encode(slice_of(x->in->user->address), &url);
    for (size_t i = 0; explain_programs[i]; i++)
        buf_addf(&programs, "%s%s", i ? ", " : "", explain_programs[i]);
    x->values[VALUE_user_url].text = buf_slice(&url);
    x->values[VALUE_programs].text = buf_slice(&programs);
    for (size_t i = 0; i < SERVICES; i++)
        set_reach(x, &services[i], explain_reach(x->in->config, services[i].protocol));
    say_title(x, "settings.title");
    if (x->in->program)
        say_program(x);
    else
        say_table(x);
    for (size_t i = 0; i < SERVICES; i++)
        say_limits(x, &services[i]);
    say(x, "settings.user");
    say(x, "settings.password");
    if (x->in->config->cert_file[0] == '\0')
        say(x, "settings.self-signed");
    if (!x->in->program)
        say(x, "settings.programs");
    buf_done(&url);
    buf_done(&programs);
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
    set_number(x, VALUE_devices, seen);
    set_number(x, VALUE_imap_devices, imap);
    set_number(x, VALUE_readers, x->readers);
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
        set_number(x, rows[i].at, rows[i].number);
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
    set_text(&x, VALUE_address, input->user->address);
    set_text(&x, VALUE_host, input->config->hostname);
    set_text(&x, VALUE_folders, input->policy->names);
    set_numbers(&x);
    count_devices(&x);
    say_mailbox(&x);
    say_devices(&x);
    say_imap(&x);
    say_pop(&x);
    say_advice(&x);
    say_settings(&x);
}

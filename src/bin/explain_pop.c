/* What POP3 does to a mailbox, and would do with other policies, in its own numbers. */
#include "bin/cli.h"
#include "bin/explain_int.h"

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
    explain_say(x, x->values[VALUE_shown].number ? "pop.shows" : "pop.shows-none");
    explain_say(x, folders[policy->folders]);
    if (policy->with_sent)
        explain_say(x, "pop.sent");
    if (policy->window == POP_WINDOW_NOW && policy->since_ms) {
        explain_text(x, VALUE_since, cli_time(policy->since_ms / 1000, since, sizeof since));
        explain_say(x, "pop.window-since");
    } else if (policy->window == POP_WINDOW_DAYS) {
        explain_say(x, "pop.window-days");
    }
    if (policy->newest)
        explain_say(x, "pop.newest");
    if (x->values[VALUE_all].number > x->values[VALUE_shown].number)
        explain_say(x, "pop.more");
    if (policy->list_per_device)
        explain_say(x, "pop.list-device");
    explain_say(x, deles[policy->dele]);
    explain_say(x, afters[policy->after]);
    if (policy->after != POP_AFTER_KEEP && policy->unread_stays)
        explain_say(x, "after.unread-stays");
    if (policy->mark_read)
        explain_say(x, "pop.read-quit");
    if (policy->exclusive)
        explain_say(x, "pop.lock");
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
    explain_number(x, VALUE_due, due.messages);
    explain_number(x, VALUE_due_size, due.bytes);
    explain_number(x, VALUE_old, old.messages);
    explain_number(x, VALUE_old_size, old.bytes);
    explain_number(x, VALUE_recent, x->base.messages - old.messages);
    explain_number(x, VALUE_recent_size, x->base.bytes - old.bytes);
    explain_say(x, "choice.days");
    explain_say(x, due.messages ? "choice.days-due" : "choice.days-not-yet");
    explain_say(x, x->old.messages ? "choice.days-old" : "choice.days-none-old");
}

static void say_choices(struct explaining *x)
{
    struct facts_amount goes = what_goes(x, &x->base);
    if (x->base.messages == 0) {
        explain_say(x, "choices.none");
        explain_say(x, "choices.only-copy");
        return;
    }
    explain_say(x, x->pop_on ? "choices.on" : "choices.off");
    explain_number(x, VALUE_goes, goes.messages);
    explain_number(x, VALUE_goes_size, goes.bytes);
    explain_number(x, VALUE_goes_unread, goes.unread);
    explain_say(x, "choice.keep");
    if (goes.messages == 0) {
        explain_say(x, "choice.none");
    } else {
        explain_say(x, "choice.trash");
        explain_say(x, "choice.expunge");
        explain_say(x, goes.unread ? "choice.expunge-unread" : "choice.expunge-read");
    }
    say_days(x);
    explain_say(x, "choices.only-copy");
    explain_say(x, x->pop_on ? "choices.change" : "choices.change-off");
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
    explain_number(x, VALUE_taken, taken);
    explain_number(x, VALUE_here, here);
    explain_say(x, taken > here    ? "taken.row-some"
                   : taken == here ? "taken.row"
                                   : "taken.row-here");
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
    explain_say(x, "taken.title");
    for (size_t i = 0; i < in->device_count; i++) {
        uint64_t taken = in->devices[i].uses[1].retrieved,
                 here = here_of(in->facts, in->devices[i].id);
        if (taken || here)
            repeated |= say_taken_row(x, explain_device_name(x, &in->devices[i]), taken, here);
    }
    for (size_t i = 0; i < in->facts->taken_count; i++)
        if (!device_by_id(in, in->facts->taken[i].device))
            (void)say_taken_row(
                x, explain_section(x, "device.gone"), 0, in->facts->taken[i].messages);
    if (repeated)
        explain_say(x, "taken.note");
}

void explain_pop(struct explaining *x)
{
    explain_title(x, "pop.title");
    explain_say(x, "pop.means");
    explain_say(x, x->pop_on ? "pop.on" : "pop.off");
    if (x->pop_on)
        say_policy(x);
    for (size_t i = 0; i < x->in->device_count && x->pop_on; i++)
        if (x->in->own_policy[i]) {
            x->values[VALUE_device].text = explain_device_name(x, &x->in->devices[i]);
            explain_say(x, "pop.device");
        }
    say_choices(x);
    say_taken(x);
}

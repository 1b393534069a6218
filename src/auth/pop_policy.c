/* The text form of a POP3 policy: on the command line, in directory.db and on the page that shows it. */
#include "auth/pop_policy.h"

#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define WORDS_MAX 4
static const struct {
    const char *name, *values;
    const char *words[WORDS_MAX]; /* in the order of the enum or of false, true */
} settings[POP_SETTING_COUNT] = {
    [POP_SETTING_WINDOW] = { "window", "now | all | DAYS", { "now", "all" } },
    [POP_SETTING_FOLDERS] = { "folders", "inbox | all | NAME,NAME...", { "inbox", "all" } },
    [POP_SETTING_SENT] = { "sent", "off | on", { "off", "on" } },
    [POP_SETTING_LIST] = { "list", "shared | device", { "shared", "device" } },
    [POP_SETTING_DELE] = { "dele", "trash | expunge | hide | archive",
        { "trash", "expunge", "hide", "archive" } },
    [POP_SETTING_AFTER] = { "after", "keep | quit | DAYS", { "keep", "quit" } },
    [POP_SETTING_UNREAD] = { "unread", "goes | stays", { "goes", "stays" } },
    [POP_SETTING_READ] = { "read", "no | quit", { "no", "quit" } },
    [POP_SETTING_LOCK] = { "lock", "snapshot | exclusive", { "snapshot", "exclusive" } },
    [POP_SETTING_NEWEST] = { "newest", "all | N", { "all" } },
};

const char *pop_setting_name(enum pop_setting setting)
{
    return settings[setting].name;
}

const char *pop_setting_values(enum pop_setting setting)
{
    return settings[setting].values;
}

enum err pop_setting_find(struct slice name, enum pop_setting *out_setting)
{
    for (int i = 0; i < POP_SETTING_COUNT; i++)
        if (slice_eq(name, slice_of(settings[i].name))) {
            *out_setting = (enum pop_setting)i;
            return ERR_OK;
        }
    return ERR_NOT_FOUND;
}

/* ---- folders ---- */

bool pop_folder_next(struct slice *list, char *out)
{
    size_t len = 0, at = 0;
    if (!list->len)
        return false;
    for (; at < list->len && list->ptr[at] != ','; at++) {
        if (list->ptr[at] == '\\' && at + 1 < list->len)
            at++;
        if (len < POP_FOLDERS_BYTES_MAX)
            out[len++] = list->ptr[at];
    }
    out[len] = '\0';
    *list = slice_from_index(*list, at < list->len ? at + 1 : at);
    return true;
}

/* A comma that separates: "\\," belongs to the name. */
static bool ends_in_comma(struct slice list)
{
    size_t escapes = 0;
    if (slice_at(list, list.len - 1) != ',')
        return false;
    while (escapes + 1 < list.len && slice_at(list, list.len - 2 - escapes) == '\\')
        escapes++;
    return escapes % 2 == 0;
}

static enum err set_folders(struct pop_policy *policy, struct slice value)
{
    char name[POP_FOLDERS_BYTES_MAX + 1];
    if (value.len > POP_FOLDERS_BYTES_MAX)
        return ERR_LIMIT;
    if (!value.len || !utf8_valid(value) || ends_in_comma(value))
        return ERR_SYNTAX;
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)slice_at(value, i) < ' ' || slice_at(value, i) == 0x7f)
            return ERR_SYNTAX;
    for (struct slice rest = value; pop_folder_next(&rest, name);)
        if (!name[0])
            return ERR_SYNTAX;
    policy->folders = POP_FOLDERS_LIST;
    memcpy(policy->names, value.ptr, value.len);
    policy->names[value.len] = '\0';
    return ERR_OK;
}

/* ---- values ---- */

static bool word_of(enum pop_setting setting, struct slice value, unsigned *out_index)
{
    for (unsigned i = 0; i < WORDS_MAX && settings[setting].words[i]; i++)
        if (slice_eq(value, slice_of(settings[setting].words[i]))) {
            *out_index = i;
            return true;
        }
    return false;
}

static enum err number_of(struct slice value, unsigned most, unsigned *out_number)
{
    uint64_t number;
    TRY(slice_to_u64(value, most, &number));
    if (number == 0)
        return ERR_LIMIT;
    *out_number = (unsigned)number;
    return ERR_OK;
}

static enum err set_number(struct pop_policy *policy, enum pop_setting setting, struct slice value)
{
    switch (setting) {
    case POP_SETTING_WINDOW:
        TRY(number_of(value, POP_DAYS_MAX, &policy->window_days));
        policy->window = POP_WINDOW_DAYS;
        return ERR_OK;
    case POP_SETTING_AFTER:
        TRY(number_of(value, POP_DAYS_MAX, &policy->after_days));
        policy->after = POP_AFTER_DAYS;
        return ERR_OK;
    case POP_SETTING_NEWEST:
        return number_of(value, POP_NEWEST_MAX, &policy->newest);
    case POP_SETTING_FOLDERS:
        return set_folders(policy, value);
    default:
        return ERR_SYNTAX;
    }
}

enum err pop_policy_set(struct pop_policy *policy, enum pop_setting setting, struct slice value)
{
    unsigned word;
    if (!word_of(setting, value, &word))
        return set_number(policy, setting, value);
    switch (setting) {
    case POP_SETTING_WINDOW:
        policy->window = word ? POP_WINDOW_ALL : POP_WINDOW_NOW;
        break;
    case POP_SETTING_FOLDERS:
        policy->folders = word ? POP_FOLDERS_ALL : POP_FOLDERS_INBOX;
        break;
    case POP_SETTING_SENT:
        policy->with_sent = word;
        break;
    case POP_SETTING_LIST:
        policy->list_per_device = word;
        break;
    case POP_SETTING_DELE:
        policy->dele = word;
        break;
    case POP_SETTING_AFTER:
        policy->after = word;
        break;
    case POP_SETTING_UNREAD:
        policy->unread_stays = word;
        break;
    case POP_SETTING_READ:
        policy->mark_read = word;
        break;
    case POP_SETTING_LOCK:
        policy->exclusive = word;
        break;
    case POP_SETTING_NEWEST:
        policy->newest = 0;
        break;
    case POP_SETTING_COUNT:
        break;
    }
    return ERR_OK;
}

/* The index of the word that says it, or -1 for a number or a list. */
static int word_index(const struct pop_policy *policy, enum pop_setting setting)
{
    switch (setting) {
    case POP_SETTING_WINDOW:
        return policy->window == POP_WINDOW_DAYS ? -1 : (int)policy->window;
    case POP_SETTING_FOLDERS:
        return policy->folders == POP_FOLDERS_LIST ? -1 : (int)policy->folders;
    case POP_SETTING_SENT:
        return policy->with_sent;
    case POP_SETTING_LIST:
        return policy->list_per_device;
    case POP_SETTING_DELE:
        return (int)policy->dele;
    case POP_SETTING_AFTER:
        return policy->after == POP_AFTER_DAYS ? -1 : (int)policy->after;
    case POP_SETTING_UNREAD:
        return policy->unread_stays;
    case POP_SETTING_READ:
        return policy->mark_read;
    case POP_SETTING_LOCK:
        return policy->exclusive;
    case POP_SETTING_NEWEST:
        return policy->newest ? -1 : 0;
    case POP_SETTING_COUNT:
        break;
    }
    return 0;
}

void pop_policy_value(const struct pop_policy *policy, enum pop_setting setting, struct buf *out)
{
    int word = word_index(policy, setting);
    if (word >= 0)
        buf_adds(out, settings[setting].words[word]);
    else if (setting == POP_SETTING_FOLDERS)
        buf_adds(out, policy->names);
    else
        buf_addu(out, setting == POP_SETTING_WINDOW  ? policy->window_days
                      : setting == POP_SETTING_AFTER ? policy->after_days
                                                     : policy->newest);
}

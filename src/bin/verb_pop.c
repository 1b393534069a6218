/* The pop verb: shows and changes a POP3 policy. */
#include "bin/verb_pop.h"

#include "auth/device.h"
#include "auth/pop_policy.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "bin/json.h"
#include "bin/verb_user_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct wanted {
    const char *address, *device;
    bool on, off, reset;
    int first; /* of the settings in argv */
};

/* ---- showing ---- */

static void say_window(const struct pop_policy *policy)
{
    char when[32];
    if (policy->window == POP_WINDOW_DAYS)
        cli_say(MSG_POP_WINDOW_DAYS, policy->window_days);
    else if (policy->window == POP_WINDOW_ALL)
        cli_say(MSG_POP_WINDOW_ALL);
    else if (policy->since_ms == 0)
        cli_say(MSG_POP_WINDOW_ALWAYS);
    else
        cli_say(MSG_POP_WINDOW_SINCE, cli_time(policy->since_ms / 1000, when, sizeof when));
}

static void say_folders(const struct pop_policy *policy)
{
    if (policy->folders == POP_FOLDERS_LIST)
        cli_say(MSG_POP_FOLDERS_LIST, policy->names);
    else
        cli_say(policy->folders == POP_FOLDERS_ALL ? MSG_POP_FOLDERS_ALL : MSG_POP_FOLDERS_INBOX);
}

static void say_dele(const struct pop_policy *policy)
{
    static const enum message_id texts[] = { [POP_DELE_TRASH] = MSG_POP_DELE_TRASH,
        [POP_DELE_EXPUNGE] = MSG_POP_DELE_EXPUNGE,
        [POP_DELE_HIDE] = MSG_POP_DELE_HIDE,
        [POP_DELE_ARCHIVE] = MSG_POP_DELE_ARCHIVE };
    cli_say(texts[policy->dele]);
}

static void say_after(const struct pop_policy *policy)
{
    if (policy->after == POP_AFTER_KEEP) {
        cli_say(MSG_POP_AFTER_KEEP);
        return;
    }
    if (policy->after == POP_AFTER_DAYS)
        cli_say(MSG_POP_AFTER_DAYS, policy->after_days);
    else
        cli_say(MSG_POP_AFTER_QUIT);
    cli_say(policy->unread_stays ? MSG_POP_UNREAD_STAYS : MSG_POP_UNREAD_GOES);
}

static void say_policy(const struct pop_policy *policy)
{
    say_window(policy);
    say_folders(policy);
    cli_say(policy->with_sent ? MSG_POP_SENT_ON : MSG_POP_SENT_OFF);
    if (policy->newest)
        cli_say(MSG_POP_NEWEST_N, policy->newest);
    else
        cli_say(MSG_POP_NEWEST_ALL);
    cli_say(policy->list_per_device ? MSG_POP_LIST_DEVICE : MSG_POP_LIST_SHARED);
    say_dele(policy);
    say_after(policy);
    cli_say(policy->mark_read ? MSG_POP_READ_QUIT : MSG_POP_READ_NO);
    cli_say(policy->exclusive ? MSG_POP_LOCK_EXCLUSIVE : MSG_POP_LOCK_SNAPSHOT);
}

/* As it is typed. */
static void print_settings(const struct pop_policy *policy)
{
    struct buf line, value;
    buf_init(&line, 0), buf_init(&value, 0);
    for (int i = 0; i < POP_SETTING_COUNT; i++) {
        buf_addf(&line, "%s%s=", i ? " " : "", pop_setting_name((enum pop_setting)i));
        buf_clear(&value);
        pop_policy_value(policy, (enum pop_setting)i, &value);
        cli_add_word(&line, buf_slice(&value));
    }
    printf("\n%.*s\n", SLICE_FMT(buf_slice(&line)));
    buf_done(&line), buf_done(&value);
}

static void print_json(const struct user *user, const char *device, const struct pop_policy *policy)
{
    struct buf value;
    buf_init(&value, 0);
    printf("{\"address\":");
    json_print(slice_of(user->address));
    printf(",\"pop\":%s,\"device\":", user->services & USER_POP3 ? "true" : "false");
    if (device)
        json_print(slice_of(device));
    else
        printf("null");
    printf(",\"own\":%s,\"since_ms\":%" PRId64 ",\"settings\":{",
        policy->own || !device ? "true" : "false", policy->since_ms);
    for (int i = 0; i < POP_SETTING_COUNT; i++) {
        buf_clear(&value);
        pop_policy_value(policy, (enum pop_setting)i, &value);
        printf("%s\"%s\":", i ? "," : "", pop_setting_name((enum pop_setting)i));
        json_print(buf_slice(&value));
    }
    printf("}}\n");
    buf_done(&value);
}

static int show(struct users *users, bool json, const struct user *user, const char *device)
{
    struct pop_policy policy;
    enum err e = directory_pop_policy(users->directory, user, &policy);
    if (e)
        return users_failed(e, user->address);
    if (json) {
        print_json(user, device, &policy);
        return EX_OK;
    }
    if (!(user->services & USER_POP3)) {
        autofree char *address = cli_word(user->address);
        cli_say(MSG_POP_IS_OFF, user->address, address);
        return EX_OK;
    }
    cli_say(MSG_POP_IS_ON, user->address);
    if (device)
        cli_say(policy.own ? MSG_POP_OF_DEVICE : MSG_POP_OF_ACCOUNT, device);
    say_policy(&policy);
    print_settings(&policy);
    return EX_OK;
}

/* ---- changing ---- */

/* EX_OK, or the exit code after saying why. */
static int take_setting(struct pop_policy *policy, const char *word, int64_t now_ms)
{
    struct slice value = slice_of(word), name;
    enum pop_setting setting;
    char text[40];
    (void)slice_cut(&value, '=', &name);
    (void)snprintf(text, sizeof text, "%.*s", SLICE_FMT(name));
    if (!strchr(word, '=') || pop_setting_find(name, &setting) != ERR_OK) {
        cli_error(MSG_POP_SETTING_UNKNOWN, text);
        return EX_USAGE;
    }
    enum err e = pop_policy_set(policy, setting, value);
    if (e != ERR_OK) {
        cli_error(e == ERR_LIMIT ? MSG_POP_VALUE_LARGE : MSG_POP_VALUE_BAD, strchr(word, '=') + 1,
            pop_setting_name(setting), pop_setting_values(setting));
        return EX_USAGE;
    }
    if (setting == POP_SETTING_WINDOW && policy->window == POP_WINDOW_NOW)
        policy->since_ms = now_ms;
    return EX_OK;
}

/* Before anything is changed: a word that is none changes nothing. */
static int try_settings(char **words, int count)
{
    struct pop_policy scratch = { 0 };
    int code = EX_OK;
    for (int i = 0; i < count && !code; i++)
        code = take_setting(&scratch, words[i], 0);
    return code;
}

static int change(struct users *users, const struct user *user, char **words, int count)
{
    struct pop_policy policy;
    enum err e = directory_pop_policy(users->directory, user, &policy);
    for (int i = 0; i < count && !e; i++) {
        int code = take_setting(&policy, words[i], clock_wall_ms());
        if (code)
            return code;
    }
    if (!e && count)
        e = directory_pop_policy_set(users->directory, user, &policy);
    return e ? users_failed(e, user->address) : EX_OK;
}

static int switch_pop(struct users *users, struct user *user, bool on)
{
    user->services = on ? user->services | USER_POP3 : user->services & ~(unsigned)USER_POP3;
    enum err e = directory_user_set(users->directory, user);
    if (e)
        return users_failed(e, user->address);
    users_tell_server(users, user);
    return EX_OK;
}

static int find_device(struct users *users, struct user *user, const char *name)
{
    struct arena arena;
    struct device *at;
    size_t count;
    char canonical[APP_PASSWORD_NAME_BYTES_MAX + 1];
    bool possible = device_name_canonical(slice_of(name), canonical) == ERR_OK;
    arena_init(&arena, SIZE_MAX); /* our own data, for one run */
    enum err e = directory_devices(users->directory, user, &arena, &at, &count);
    for (size_t i = 0; i < count && !e && possible; i++)
        if (at[i].id && strcmp(at[i].name, canonical) == 0)
            user->device = at[i].id;
    arena_done(&arena);
    if (e)
        return users_failed(e, user->address);
    if (user->device == 0) {
        autofree char *address = cli_word(user->address);
        cli_error(MSG_APP_PASSWORD_UNKNOWN, user->address, name, address);
        return EX_NOUSER;
    }
    return EX_OK;
}

/* ---- the verb ---- */

static int run(
    struct users *users, bool json, const struct wanted *wanted, char **settings, int count)
{
    struct user user;
    int code = EX_OK;
    enum err e = directory_user(users->directory, slice_of(wanted->address), &user);
    if (e)
        return users_failed(e, wanted->address);
    if (wanted->device)
        code = find_device(users, &user, wanted->device);
    if (!code)
        code = try_settings(settings, count);
    if (!code && wanted->reset) {
        e = directory_pop_policy_reset(users->directory, &user);
        code = e ? users_failed(e, user.address) : EX_OK;
    }
    if (!code && wanted->on)
        code = switch_pop(users, &user, true);
    if (!code)
        code = change(users, &user, settings, count);
    if (!code && wanted->off)
        code = switch_pop(users, &user, false);
    return code ? code : show(users, json, &user, wanted->device);
}

static int usage(void)
{
    fprintf(stderr, "%s\n", tr(MSG_POP_USAGE));
    return EX_USAGE;
}

/* Settings go to the front of argv[1..]; *out_count is their number. */
static int read_words(int argc, char **argv, struct wanted *wanted, int *out_count)
{
    int count = 0;
    for (int at = 1; at < argc; at++) {
        char *word = argv[at];
        if (strcmp(word, "--device") == 0) {
            if (++at == argc) {
                cli_error(MSG_OPTION_NEEDS_VALUE, word);
                return EX_USAGE;
            }
            wanted->device = argv[at];
        } else if (strncmp(word, "--", 2) == 0) {
            cli_error(MSG_UNKNOWN_OPTION, word);
            return EX_USAGE;
        } else if (!wanted->address) {
            wanted->address = word;
        } else if (strcmp(word, "on") == 0) {
            wanted->on = true;
        } else if (strcmp(word, "off") == 0) {
            wanted->off = true;
        } else if (strcmp(word, "reset") == 0) {
            wanted->reset = true;
        } else {
            argv[1 + count++] = word;
        }
    }
    *out_count = count;
    return EX_OK;
}

int verb_pop(const struct cli *cli, int argc, char **argv)
{
    struct wanted wanted = { 0 };
    struct users users;
    int count = 0, code = read_words(argc, argv, &wanted, &count);
    if (code)
        return code;
    if (!wanted.address) {
        cli_error(MSG_ADDRESS_NEEDED, "pop");
        return EX_USAGE;
    }
    if (wanted.on && wanted.off)
        return usage();
    if (wanted.device && (wanted.on || wanted.off)) {
        cli_error(MSG_POP_DEVICE_SWITCH);
        return EX_USAGE;
    }
    code = users_open(cli, &users);
    if (code)
        return code;
    code = run(&users, cli->json, &wanted, argv + 1, count);
    users_close(&users);
    return code;
}

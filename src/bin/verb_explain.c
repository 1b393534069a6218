/* Gathers what `barid explain` tells: directory.db for the owner, the devices and the policy; the store, or the server that has it open, for the mail. */
#include "bin/verb_explain.h"

#include "base/arena.h"
#include "bin/backup_files.h"
#include "bin/explain.h"
#include "bin/json.h"
#include "bin/verb_user_int.h"
#include "server/core/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_MIN 30
#define COLUMNS_MAX 100 /* longer lines are hard to read */

/* ---- the numbers ---- */

struct asking {
    struct arena *arena;
    struct mailbox_facts *facts;
    enum err e;
};

static void on_line(void *tell_arg, struct slice line)
{
    struct asking *asking = tell_arg;
    if (slice_starts(line, SLICE("failed: ")))
        asking->e = ERR_IO; /* control_ask tells that it failed */
    else if (asking->e == ERR_OK)
        asking->e = facts_read_line(line, asking->arena, asking->facts);
}

static enum err by_hand(struct users *users, const struct user *user, struct arena *arena,
    struct mailbox_facts *facts, struct err_note *note)
{
    struct store *store;
    struct store_options options = { .root = users->config->data_dir };
    TRY(store_open(&options, &store, note));
    enum err e = facts_of_user(store, users->directory, slice_of(user->id), arena, facts);
    store_close(store);
    (void)!backup_give_account(options.root, user->id); /* what root's opening made */
    return e;
}

static enum err gather_facts(struct users *users, const struct user *user, struct arena *arena,
    struct mailbox_facts *facts, struct err_note *note)
{
    char line[USER_ID_BYTES + 32];
    struct asking asking = { .arena = arena, .facts = facts };
    bool ok = false;
    *facts = (struct mailbox_facts){ 0 };
    snprintf(line, sizeof line, "mailbox-facts %s\n", user->id);
    enum err e = control_ask(users->config->data_dir, line, on_line, &asking, &ok);
    if (e == ERR_NOT_FOUND) /* no server runs */
        return by_hand(users, user, arena, facts, note);
    TRY(e);
    TRY(asking.e);
    return ok ? ERR_OK : ERR_IO;
}

static enum err gather_devices(
    struct users *users, const struct user *user, struct arena *arena, struct explain_input *input)
{
    struct device *devices;
    TRY(directory_devices(users->directory, user, arena, &devices, &input->device_count));
    bool *own = arena_zalloc(arena, input->device_count, sizeof *own);
    if (!own)
        return ERR_LIMIT;
    for (size_t i = 0; i < input->device_count; i++) {
        struct pop_policy policy;
        struct user as_device = *user;
        as_device.device = devices[i].id;
        TRY(directory_pop_policy(users->directory, &as_device, &policy));
        own[i] = policy.own;
    }
    input->devices = devices;
    input->own_policy = own;
    return ERR_OK;
}

/* ---- as JSON ---- */

static void print_amount(const char *name, const struct facts_amount *amount)
{
    printf(",\"%s\":{\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"unread\":%" PRIu64
           ",\"unread_bytes\":%" PRIu64 "}",
        name, amount->messages, amount->bytes, amount->unread, amount->unread_bytes);
}

static void print_folders(const struct mailbox_facts *facts)
{
    printf(",\"folders\":[");
    for (size_t i = 0; i < facts->folder_count; i++) {
        const struct facts_folder *folder = &facts->folders[i];
        printf("%s{\"name\":", i ? "," : "");
        json_print(folder->name);
        printf(",\"use\":\"%s\",\"messages\":%" PRIu64 ",\"unread\":%" PRIu64 ",\"bytes\":%" PRIu64
               "}",
            facts_use_name(folder->use), folder->messages, folder->unread, folder->bytes);
    }
    printf("]");
}

static void print_devices(const struct explain_input *input)
{
    static const char *const names[USER_SERVICE_COUNT] = { "imap", "pop3", "submission" };
    printf(",\"devices\":[");
    for (size_t i = 0; i < input->device_count; i++) {
        const struct device *device = &input->devices[i];
        printf("%s{\"id\":%" PRId64 ",\"name\":", i ? "," : "", device->id);
        if (device->id)
            json_print(slice_of(device->name));
        else
            printf("null");
        printf(",\"last\":{");
        for (size_t k = 0; k < USER_SERVICE_COUNT; k++)
            printf("%s\"%s\":%" PRId64, k ? "," : "", names[k], device->uses[k].last_s);
        printf("},\"pop_messages\":%" PRIu64 ",\"own_pop_settings\":%s}", device->uses[1].retrieved,
            input->own_policy[i] ? "true" : "false");
    }
    printf("],\"taken_and_here\":[");
    for (size_t i = 0; i < input->facts->taken_count; i++)
        printf("%s{\"device\":%" PRId64 ",\"messages\":%" PRIu64 "}", i ? "," : "",
            input->facts->taken[i].device, input->facts->taken[i].messages);
    printf("]");
}

static void print_pop(const struct explain_input *input)
{
    static const char *const names[FACTS_DROPS] = { "shown", "old", "all", "all_old", "due" };
    struct buf value;
    buf_init(&value, 0);
    printf(",\"pop\":{\"on\":%s,\"days\":%u", input->user->services & USER_POP3 ? "true" : "false",
        input->facts->days);
    for (size_t i = 0; i < FACTS_DROPS; i++)
        print_amount(names[i], &input->facts->drops[i]);
    printf(",\"settings\":{");
    for (int i = 0; i < POP_SETTING_COUNT; i++) {
        buf_clear(&value);
        pop_policy_value(input->policy, (enum pop_setting)i, &value);
        printf("%s\"%s\":", i ? "," : "", pop_setting_name((enum pop_setting)i));
        json_print(buf_slice(&value));
    }
    printf("}}");
    buf_done(&value);
}

static void print_servers(const struct explain_input *input)
{
    static const enum protocol protocols[] = { PROTOCOL_IMAP, PROTOCOL_POP3, PROTOCOL_SUBMISSION };
    printf(",\"host\":");
    json_print(slice_of(input->config->hostname));
    for (size_t i = 0; i < 3; i++) {
        struct explain_reach reach = explain_reach(input->config, protocols[i]);
        printf(",\"%s\":", protocol_name(protocols[i]));
        if (reach.port)
            printf("{\"port\":%d,\"security\":\"%s\",\"local_only\":%s}", reach.port,
                reach.implicit_tls ? "tls" : "starttls", reach.local_only ? "true" : "false");
        else
            printf("null");
    }
}

static void print_json(const struct explain_input *input)
{
    const struct mailbox_facts *facts = input->facts;
    printf("{\"address\":");
    json_print(slice_of(input->user->address));
    printf(",\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"quota_bytes\":%" PRIu64
           ",\"quota_messages\":%" PRIu64 ",\"damaged\":%s",
        facts->messages, facts->bytes, input->user->quota_bytes, input->user->quota_messages,
        facts->damaged ? "true" : "false");
    print_folders(facts);
    print_devices(input);
    print_pop(input);
    print_servers(input);
    printf("}\n");
}

/* ---- the verb ---- */

/* What goes to a file or another program is not folded: it has a line for each sentence. */
static void print_text(const struct explain_input *input)
{
    struct winsize size = { 0 };
    struct buf text, folded;
    buf_init(&text, 0);
    buf_init(&folded, 0);
    explain_write(lang_get(), input, &text, NULL);
    bool terminal = isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
    if (terminal && size.ws_col >= COLUMNS_MIN)
        guide_fold(
            buf_slice(&text), size.ws_col < COLUMNS_MAX ? size.ws_col : COLUMNS_MAX, &folded);
    struct slice printed = buf_len(&folded) ? buf_slice(&folded) : buf_slice(&text);
    (void)fwrite(printed.ptr, 1, printed.len, stdout);
    buf_done(&folded);
    buf_done(&text);
}

static int explain(
    struct users *users, bool json, const char *address, const char *program, struct arena *arena)
{
    struct user user;
    struct pop_policy policy;
    struct mailbox_facts facts;
    struct err_note note = { "" };
    struct explain_input input = { .config = users->config,
        .user = &user,
        .policy = &policy,
        .facts = &facts,
        .program = program };
    enum err e = directory_user(users->directory, slice_of(address), &user);
    if (e)
        return users_failed(e, address);
    e = gather_facts(users, &user, arena, &facts, &note);
    if (!e) /* after that, for the server has written what the devices did */
        e = gather_devices(users, &user, arena, &input);
    if (!e)
        e = directory_pop_policy(users->directory, &user, &policy);
    if (e && note.text[0])
        cli_error_text(note.text);
    else if (e)
        cli_error(MSG_FAILED, err_words(e));
    if (e)
        return cli_exit_code(e);
    if (json)
        print_json(&input);
    else
        print_text(&input);
    return EX_OK;
}

static bool is_program(const char *name)
{
    for (size_t i = 0; explain_programs[i]; i++)
        if (strcmp(explain_programs[i], name) == 0)
            return true;
    return false;
}

/* EX_OK, or the exit code after saying why. */
static int read_words(int argc, char **argv, const char **out_address, const char **out_program)
{
    for (int at = 1; at < argc; at++) {
        const char *word = argv[at];
        if (strcmp(word, "--program") == 0) {
            if (++at == argc) {
                cli_error(MSG_OPTION_NEEDS_VALUE, word);
                return EX_USAGE;
            }
            *out_program = argv[at];
        } else if (word[0] == '-' || *out_address) {
            cli_error(MSG_UNKNOWN_OPTION, word);
            return EX_USAGE;
        } else {
            *out_address = word;
        }
    }
    if (!*out_address) {
        cli_error(MSG_ADDRESS_NEEDED, "explain");
        return EX_USAGE;
    }
    if (*out_program && !is_program(*out_program)) {
        cli_error(MSG_EXPLAIN_PROGRAM_UNKNOWN, *out_program);
        return EX_USAGE;
    }
    return EX_OK;
}

int verb_explain(const struct cli *cli, int argc, char **argv)
{
    const char *address = NULL, *program = NULL;
    struct users users;
    struct arena arena;
    int code = read_words(argc, argv, &address, &program);
    if (code)
        return code;
    code = users_open(cli, &users);
    if (code)
        return code;
    arena_init(&arena, SIZE_MAX); /* our own data, for one run */
    code = explain(&users, cli->json, address, program, &arena);
    arena_done(&arena);
    users_close(&users);
    return code;
}

/* The app-password and device verbs. What devices did lately waits in a running server, which is asked to write it before it is shown. */
#include "bin/verb_device.h"

#include "auth/device.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "bin/json.h"
#include "bin/verb_user_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define DAY_S    (24 * 60 * 60)
#define DAYS_MAX 36500u

static const char *const service_names[USER_SERVICE_COUNT] = { "imap", "pop3", "submission" };

static int usage(enum message_id id)
{
    fprintf(stderr, "%s\n", tr(id));
    return EX_USAGE;
}

/* ---- words of the command line ---- */

static enum err parse_protocols(struct slice text, unsigned *out_services)
{
    struct slice word;
    unsigned services = 0;
    while (slice_cut(&text, ',', &word)) {
        unsigned bit = 0;
        word = slice_trim(word);
        for (unsigned i = 0; i < USER_SERVICE_COUNT; i++)
            if (slice_eq_nocase(word, slice_of(service_names[i])))
                bit = 1u << i;
        if (slice_eq_nocase(word, SLICE("pop"))) /* as the switches of user have it */
            bit = USER_POP3;
        if (bit == 0)
            return ERR_SYNTAX;
        services |= bit;
    }
    *out_services = services;
    return services ? ERR_OK : ERR_SYNTAX;
}

/* "90d" from now, or the end of a day here. */
static enum err parse_expires(struct slice text, int64_t now_s, int64_t *out_s)
{
    uint64_t part[3];
    struct slice word;
    if (text.len > 1 && ascii_lower(text.ptr[text.len - 1]) == 'd') {
        TRY(slice_to_u64(slice_sub(text, 0, text.len - 1), DAYS_MAX, &part[0]));
        *out_s = now_s + (int64_t)part[0] * DAY_S;
        return part[0] > 0 ? ERR_OK : ERR_SYNTAX;
    }
    for (size_t i = 0; i < 3; i++)
        if (!slice_cut(&text, '-', &word) || slice_to_u64(word, 9999, &part[i]))
            return ERR_SYNTAX;
    struct tm day = { .tm_year = (int)part[0] - 1900,
        .tm_mon = (int)part[1] - 1,
        .tm_mday = (int)part[2] + 1,
        .tm_isdst = -1 };
    if (text.len > 0 || part[0] < 1970 || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
        part[2] > 31)
        return ERR_SYNTAX;
    time_t end = mktime(&day); /* midnight after it */
    if (end <= now_s)
        return ERR_SYNTAX;
    struct tm same = { .tm_year = (int)part[0] - 1900,
        .tm_mon = (int)part[1] - 1,
        .tm_mday = (int)part[2],
        .tm_hour = 12,
        .tm_isdst = -1 };
    if (mktime(&same) == -1 || same.tm_mday != (int)part[2])
        return ERR_SYNTAX; /* there is no 30 February */
    *out_s = end;
    return ERR_OK;
}

struct wanted {
    const char *address, *name;
    unsigned services;
    int64_t expires_s;
    char networks[NETWORKS_BYTES_MAX + 1];
};

static enum err take_option(struct wanted *wanted, const char *option, struct slice value)
{
    enum err e = ERR_SYNTAX;
    if (strcmp(option, "--protocols") == 0) {
        e = parse_protocols(value, &wanted->services);
        if (e)
            cli_error(MSG_PROTOCOLS_BAD);
    } else if (strcmp(option, "--expires") == 0) {
        e = parse_expires(value, clock_wall_s(), &wanted->expires_s);
        if (e)
            cli_error(MSG_EXPIRES_BAD);
    } else {
        e = networks_canonical(value, wanted->networks);
        if (e)
            cli_error(MSG_NETWORK_BAD, APP_PASSWORD_NETWORKS_MAX);
    }
    return e;
}

static bool is_option(const char *word)
{
    static const char *const names[] = { "--protocols", "--expires", "--network" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(word, names[i]) == 0)
            return true;
    return false;
}

/* EX_OK, or the exit code after saying why. */
static int read_words(int argc, char **argv, bool options, struct wanted *wanted)
{
    for (int at = 2; at < argc; at++) {
        const char *word = argv[at];
        if (options && is_option(word)) {
            if (++at == argc) {
                cli_error(MSG_OPTION_NEEDS_VALUE, word);
                return EX_USAGE;
            }
            if (take_option(wanted, word, slice_of(argv[at])))
                return EX_USAGE;
        } else if (strncmp(word, "--", 2) == 0) {
            cli_error(MSG_UNKNOWN_OPTION, word);
            return EX_USAGE;
        } else if (!wanted->address) {
            wanted->address = word;
        } else if (!wanted->name) {
            wanted->name = word;
        } else {
            return usage(MSG_APP_PASSWORD_USAGE);
        }
    }
    return EX_OK;
}

/* ---- add, revoke ---- */

static int add_failed(enum err e, const struct user *user, const char *name)
{
    autofree char *address = cli_word(user->address);
    if (e == ERR_EXISTS) {
        cli_error(MSG_APP_PASSWORD_EXISTS, user->address, name);
        return EX_CANTCREAT;
    }
    if (e == ERR_LIMIT) {
        cli_error(MSG_APP_PASSWORD_TOO_MANY, user->address, APP_PASSWORDS_PER_USER_MAX, address);
        return EX_CANTCREAT;
    }
    return users_failed(e, user->address);
}

static int add_one(
    struct users *users, bool json, const struct user *user, const struct wanted *wanted)
{
    char name[APP_PASSWORD_NAME_BYTES_MAX + 1], text[APP_PASSWORD_TEXT_BYTES + 1];
    int64_t device;
    if (device_name_canonical(slice_of(wanted->name), name)) {
        cli_error(MSG_APP_PASSWORD_NAME_BAD, APP_PASSWORD_NAME_BYTES_MAX);
        return EX_DATAERR;
    }
    struct app_password_new row = { .name = slice_of(name),
        .services = wanted->services,
        .expires_s = wanted->expires_s,
        .networks = slice_of(wanted->networks) };
    enum err e = directory_app_password_add(users->directory, user, &row, text, &device);
    if (e)
        return add_failed(e, user, name);
    if (json) {
        printf("{\"id\":%" PRId64 ",\"name\":", device);
        json_print(slice_of(name));
        printf(",\"password\":\"%s\"}\n", text);
    } else {
        autofree char *address = cli_word(user->address), *word = cli_word(name);
        cli_say(MSG_APP_PASSWORD_ADDED, name, user->address, text, address, word);
    }
    explicit_bzero(text, sizeof text);
    return EX_OK;
}

static int revoke_one(struct users *users, const struct user *user, const char *name)
{
    char line[USER_ID_BYTES + 64];
    int64_t device;
    enum err e = directory_app_password_revoke(users->directory, user, slice_of(name), &device);
    if (e == ERR_NOT_FOUND) {
        autofree char *address = cli_word(user->address);
        cli_error(MSG_APP_PASSWORD_UNKNOWN, user->address, name, address);
        return EX_NOUSER;
    }
    if (e)
        return users_failed(e, user->address);
    snprintf(line, sizeof line, "device-revoked %s %" PRId64 "\n", user->id, device);
    (void)!cli_notify_server(users->config, line);
    cli_say(MSG_APP_PASSWORD_REVOKED, name, user->address);
    return EX_OK;
}

/* ---- lists ---- */

static const char *services_text(unsigned services, char *out, size_t out_bytes)
{
    size_t len = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < USER_SERVICE_COUNT; i++)
        if (services & 1u << i)
            len += (size_t)snprintf(
                out + len, out_bytes - len, "%s%s", len > 0 ? ", " : "", service_names[i]);
    return out;
}

static void services_json(const char *key, unsigned services)
{
    bool first = true;
    printf(",\"%s\":[", key);
    for (unsigned i = 0; i < USER_SERVICE_COUNT; i++)
        if (services & 1u << i) {
            printf("%s\"%s\"", first ? "" : ",", service_names[i]);
            first = false;
        }
    printf("]");
}

static const char *name_of_service(enum user_service service)
{
    return service == USER_IMAP   ? service_names[0]
           : service == USER_POP3 ? service_names[1]
                                  : service_names[2];
}

static unsigned services_seen(const struct device *device)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < USER_SERVICE_COUNT; i++)
        seen |= device->uses[i].last_s > 0 ? 1u << i : 0;
    return seen;
}

static void print_last(const struct device *device)
{
    enum user_service service = USER_IMAP;
    char when[32];
    const struct device_use *last = device_last_use(device, &service);
    if (last)
        cli_say(MSG_DEVICE_LAST, cli_time(last->last_s, when, sizeof when),
            name_of_service(service), last->address);
    else
        cli_say(MSG_DEVICE_NEVER);
}

static void print_last_json(const struct device *device)
{
    enum user_service service = USER_IMAP;
    const struct device_use *last = device_last_use(device, &service);
    if (!last) {
        printf(",\"last_use\":null}");
        return;
    }
    printf(",\"last_use\":{\"time\":%" PRId64 ",\"protocol\":\"%s\",\"address\":", last->last_s,
        name_of_service(service));
    json_print(slice_of(last->address));
    printf("}}");
}

static void print_app_password(const struct device *device)
{
    char text[64];
    printf("%s\n", device->name);
    cli_say(MSG_DEVICE_PROTOCOLS, services_text(device->services, text, sizeof text));
    cli_say(MSG_DEVICE_CREATED, cli_time(device->created_s, text, sizeof text));
    if (device->expires_s)
        cli_say(device->expires_s > clock_wall_s() ? MSG_DEVICE_EXPIRES : MSG_DEVICE_EXPIRED,
            cli_time(device->expires_s - 1, text, sizeof text)); /* the last it is good for */
    if (device->networks[0])
        cli_say(MSG_DEVICE_NETWORKS, device->networks);
    print_last(device);
}

static void print_app_password_json(const struct device *device)
{
    struct slice networks = slice_of(device->networks), network;
    printf("{\"id\":%" PRId64 ",\"name\":", device->id);
    json_print(slice_of(device->name));
    services_json("protocols", device->services);
    printf(",\"created\":%" PRId64, device->created_s);
    if (device->expires_s)
        printf(",\"expires\":%" PRId64, device->expires_s);
    else
        printf(",\"expires\":null");
    printf(",\"networks\":[");
    for (bool first = true; slice_cut(&networks, ',', &network); first = false)
        printf("%s\"%.*s\"", first ? "" : ",", SLICE_FMT(network));
    printf("]");
    print_last_json(device);
}

static void print_device(const struct device *device)
{
    char text[64];
    printf("%s\n", device->id ? device->name : tr(MSG_DEVICE_MAIN));
    print_last(device);
    if (services_seen(device))
        cli_say(MSG_DEVICE_SEEN, services_text(services_seen(device), text, sizeof text));
    if (device->uses[1].retrieved > 0)
        cli_say(MSG_DEVICE_RETRIEVED, (unsigned long long)device->uses[1].retrieved);
}

static void print_device_json(const struct device *device)
{
    printf("{\"id\":%" PRId64 ",\"name\":", device->id);
    if (device->id)
        json_print(slice_of(device->name));
    else
        printf("null");
    services_json("seen", services_seen(device));
    printf(",\"pop_messages\":%" PRIu64, device->uses[1].retrieved);
    print_last_json(device);
}

struct listing {
    size_t first; /* 1 leaves the main password out */
    void (*print)(const struct device *device);
    void (*print_json)(const struct device *device);
};
static const struct listing app_passwords = { 1, print_app_password, print_app_password_json };
static const struct listing devices = { 0, print_device, print_device_json };

static int list(
    struct users *users, bool json, const struct user *user, const struct listing *listing)
{
    struct arena arena;
    struct device *at;
    size_t count;
    autofree char *word = cli_word(user->address);
    (void)!cli_notify_server(users->config, "write-devices\n");
    arena_init(&arena, SIZE_MAX); /* our own data, for one run */
    enum err e = directory_devices(users->directory, user, &arena, &at, &count);
    if (json && !e)
        printf("[");
    for (size_t i = listing->first; i < count && !e; i++) {
        if (json) {
            printf("%s", i > listing->first ? ",\n " : "");
            listing->print_json(&at[i]);
        } else {
            listing->print(&at[i]);
        }
    }
    if (json && !e)
        printf("]\n");
    else if (!e && count == listing->first)
        cli_say(MSG_APP_PASSWORD_NONE, user->address, word);
    arena_done(&arena);
    return e ? users_failed(e, user->address) : EX_OK;
}

/* ---- verbs ---- */

static int run(struct users *users, bool json, const char *what, const struct wanted *wanted)
{
    struct user user;
    enum err e = directory_user(users->directory, slice_of(wanted->address), &user);
    if (e)
        return users_failed(e, wanted->address);
    if (strcmp(what, "add") == 0)
        return add_one(users, json, &user, wanted);
    if (strcmp(what, "revoke") == 0)
        return revoke_one(users, &user, wanted->name);
    return list(users, json, &user, strcmp(what, "list") == 0 ? &app_passwords : &devices);
}

static int open_and_run(const struct cli *cli, const char *what, const struct wanted *wanted)
{
    struct users users;
    int code = users_open(cli, &users);
    if (code)
        return code;
    code = run(&users, cli->json, what, wanted);
    users_close(&users);
    return code;
}

int verb_app_password(const struct cli *cli, int argc, char **argv)
{
    struct wanted wanted = { .services = USER_SERVICES_ALL };
    const char *what = argc > 1 ? argv[1] : "";
    bool is_add = strcmp(what, "add") == 0, is_list = strcmp(what, "list") == 0;
    if (!is_add && !is_list && strcmp(what, "revoke") != 0)
        return usage(MSG_APP_PASSWORD_USAGE);
    int code = read_words(argc, argv, is_add, &wanted);
    if (code)
        return code;
    if (!wanted.address) {
        char verb[32];
        snprintf(verb, sizeof verb, "app-password %s", what);
        cli_error(MSG_ADDRESS_NEEDED, verb);
        return EX_USAGE;
    }
    if (is_list ? wanted.name != NULL : wanted.name == NULL) {
        if (is_list)
            return usage(MSG_APP_PASSWORD_USAGE);
        autofree char *address = cli_word(wanted.address);
        cli_error(MSG_APP_PASSWORD_NAME_NEEDED, what, address);
        return EX_USAGE;
    }
    return open_and_run(cli, what, &wanted);
}

int verb_device(const struct cli *cli, int argc, char **argv)
{
    struct wanted wanted = { 0 };
    if (argc < 2 || strcmp(argv[1], "list") != 0 || argc > 3)
        return usage(MSG_DEVICE_USAGE);
    if (argc == 2) {
        cli_error(MSG_ADDRESS_NEEDED, "device list");
        return EX_USAGE;
    }
    wanted.address = argv[2];
    return open_and_run(cli, "devices", &wanted);
}

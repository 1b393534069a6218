/* The domain and alias verbs. */
#include "bin/json.h"
#include "bin/user_input.h"
#include "bin/verb_user_int.h"

#include <stdio.h>
#include <string.h>

static int usage(enum message_id id)
{
    fprintf(stderr, "%s\n", tr(id));
    return EX_USAGE;
}

/* ---- domain ---- */

static int domain_failed(enum err e, const char *domain)
{
    switch (e) {
    case ERR_SYNTAX:
    case ERR_LIMIT:
        cli_error(MSG_DOMAIN_BAD, domain);
        return EX_DATAERR;
    case ERR_EXISTS:
        cli_error(MSG_DOMAIN_EXISTS, domain);
        return EX_CANTCREAT;
    case ERR_NOT_FOUND:
        cli_error(MSG_DOMAIN_UNKNOWN, domain, domain);
        return EX_DATAERR;
    default:
        cli_error(MSG_FAILED, err_words(e));
        return cli_exit_code(e);
    }
}

static int domain_add(struct users *users, char **domains, int count)
{
    for (int i = 0; i < count; i++) {
        enum err e = directory_domain_add(users->directory, slice_of(domains[i]), NULL);
        if (e)
            return domain_failed(e, domains[i]);
        cli_say(MSG_DOMAIN_ADDED, domains[i], domains[i]);
    }
    return EX_OK;
}

static int domain_remove(struct users *users, const char *domain)
{
    enum err e = directory_domain_remove(users->directory, slice_of(domain), NULL);
    if (e == ERR_BUSY) {
        cli_error(MSG_DOMAIN_IN_USE, domain, domain);
        return EX_DATAERR;
    }
    if (e)
        return domain_failed(e, domain);
    cli_say(MSG_DOMAIN_REMOVED, domain);
    return EX_OK;
}

static int domain_list(struct users *users, bool json)
{
    struct arena arena;
    struct slice *list;
    size_t count;
    arena_init(&arena, SIZE_MAX); /* our own data, for one run */
    enum err e = directory_domains(users->directory, &arena, &list, &count);
    if (e) {
        arena_done(&arena);
        return domain_failed(e, "");
    }
    if (json)
        printf("[");
    for (size_t i = 0; i < count; i++) {
        if (json) /* a domain holds nothing that JSON escapes */
            printf("%s\"%.*s\"", i ? "," : "", SLICE_FMT(list[i]));
        else
            printf("%.*s\n", SLICE_FMT(list[i]));
    }
    if (json)
        printf("]\n");
    else if (count == 0)
        cli_say(MSG_DOMAIN_NONE);
    arena_done(&arena);
    return EX_OK;
}

int verb_domain(const struct cli *cli, int argc, char **argv)
{
    struct users users;
    const char *what = argc > 1 ? argv[1] : "";
    bool add = strcmp(what, "add") == 0 && argc > 2, list = strcmp(what, "list") == 0 && argc == 2;
    if (!add && !list && !(strcmp(what, "remove") == 0 && argc == 3))
        return usage(MSG_DOMAIN_USAGE);
    int code = users_open(cli, &users);
    if (code)
        return code;
    if (add)
        code = domain_add(&users, argv + 2, argc - 2);
    else if (list)
        code = domain_list(&users, cli->json);
    else
        code = domain_remove(&users, argv[2]);
    users_close(&users);
    return code;
}

/* ---- alias ---- */

static int alias_add(struct users *users, const char *alias, char **targets, int count)
{
    char canonical[USER_NAME_BYTES_MAX + 1];
    for (int i = 0; i < count; i++) {
        enum err e = address_canonical(slice_of(targets[i]), canonical);
        if (e)
            return users_failed(e, targets[i]);
        e = directory_alias_add(users->directory, slice_of(alias), slice_of(targets[i]), NULL);
        if (e == ERR_NOT_FOUND) {
            cli_error(MSG_ALIAS_TARGET_UNKNOWN, targets[i]);
            return EX_NOUSER;
        }
        if (e == ERR_EXISTS) {
            cli_error(MSG_ALIAS_EXISTS, alias, targets[i]);
            return EX_CANTCREAT;
        }
        if (e)
            return users_failed(e, alias);
        cli_say(MSG_ALIAS_ADDED, alias, targets[i]);
    }
    return EX_OK;
}

static int alias_remove(struct users *users, const char *alias, const char *target)
{
    enum err e = directory_alias_remove(users->directory, slice_of(alias), slice_of(target));
    if (e == ERR_NOT_FOUND) {
        cli_error(MSG_ALIAS_UNKNOWN, alias);
        return EX_NOUSER;
    }
    if (e)
        return users_failed(e, alias);
    cli_say(MSG_ALIAS_REMOVED, alias);
    return EX_OK;
}

static void print_json_slice(struct arena *arena, struct slice s)
{
    const char *text = slice_cstr(arena, s);
    json_print(slice_of(text ? text : ""));
}

static int alias_list(struct users *users, bool json)
{
    struct arena arena;
    struct alias *list;
    size_t count;
    arena_init(&arena, SIZE_MAX); /* our own data, for one run */
    enum err e = directory_aliases(users->directory, &arena, &list, &count);
    if (e) {
        arena_done(&arena);
        return users_failed(e, "");
    }
    if (json)
        printf("[");
    for (size_t i = 0; i < count; i++) {
        if (json) {
            printf("%s{\"alias\":", i ? ",\n " : "");
            print_json_slice(&arena, list[i].alias);
            printf(",\"target\":");
            print_json_slice(&arena, list[i].target);
            printf("}");
        } else {
            printf("%.*s  %.*s\n", SLICE_FMT(list[i].alias), SLICE_FMT(list[i].target));
        }
    }
    if (json)
        printf("]\n");
    else if (count == 0)
        cli_say(MSG_ALIAS_NONE);
    arena_done(&arena);
    return EX_OK;
}

int verb_alias(const struct cli *cli, int argc, char **argv)
{
    struct users users;
    const char *what = argc > 1 ? argv[1] : "";
    bool add = strcmp(what, "add") == 0 && argc > 3, list = strcmp(what, "list") == 0 && argc == 2;
    if (!add && !list && !(strcmp(what, "remove") == 0 && (argc == 3 || argc == 4)))
        return usage(MSG_ALIAS_USAGE);
    int code = users_open(cli, &users);
    if (code)
        return code;
    if (add)
        code = alias_add(&users, argv[2], argv + 3, argc - 3);
    else if (list)
        code = alias_list(&users, cli->json);
    else
        code = alias_remove(&users, argv[2], argc > 3 ? argv[3] : "");
    users_close(&users);
    return code;
}

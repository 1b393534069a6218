#include "net/curl_calls.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

static struct curl_calls calls;
static bool loaded;

/* What dlsym gives is no pointer to a function in ISO C; POSIX says that its bytes are one. */
static bool find(void *library, const char *name, void *out_call)
{
    void *symbol = dlsym(library, name);
    memcpy(out_call, &symbol, sizeof symbol);
    return symbol != NULL;
}

static void load(void)
{
    void *lib = dlopen(CURL_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!lib)
        return;
    bool all =
        find(lib, "curl_global_init", &calls.global_init) &&
        find(lib, "curl_easy_init", &calls.easy_init) &&
        find(lib, "curl_easy_setopt", &calls.setopt) &&
        find(lib, "curl_easy_perform", &calls.perform) &&
        find(lib, "curl_easy_getinfo", &calls.getinfo) &&
        find(lib, "curl_easy_cleanup", &calls.cleanup) &&
        find(lib, "curl_slist_append", &calls.append) &&
        find(lib, "curl_slist_free_all", &calls.free_all) && find(lib, "curl_url", &calls.url) &&
        find(lib, "curl_url_set", &calls.url_set) && find(lib, "curl_url_get", &calls.url_get) &&
        find(lib, "curl_url_cleanup", &calls.url_cleanup) && find(lib, "curl_free", &calls.free);
    loaded = all && calls.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

const struct curl_calls *curl_calls(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, load);
    return loaded ? &calls : NULL;
}

// Lua: runs the script that is its last argument.
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

int main(int argc, char **argv) {
    lua_State *state = luaL_newstate();
    luaL_openlibs(state);
    int failed = luaL_dofile(state, argv[argc - 1]);
    if (failed)
        printf("%s\n", lua_tostring(state, -1));
    lua_close(state);
    return failed;
}

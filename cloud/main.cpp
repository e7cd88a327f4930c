// egret-cloud: one binary; what it does is its first word (cloud/cli).
#include "cloud/cli/cli.h"

int main(int argc, char** argv) { return egret::cloud::cli::main(argc, argv); }

// egret-agent: one binary; what it does is its first word (agent/cli).
#include "agent/cli/cli.h"

int main(int argc, char** argv) {
  return egret::agent::cli::main(argc, argv);
}

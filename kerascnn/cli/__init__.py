"""What the apps share: flags, messages, exit codes and commands; no other room of the library knows of these."""

fn main() {
    notify_done::app::main();
}

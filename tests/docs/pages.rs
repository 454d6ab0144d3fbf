pages! {
    readme: "README.md",
    contributing: "CONTRIBUTING.md",
}

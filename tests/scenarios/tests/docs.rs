//! What is written for people leads where it says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use isocast_harness::repository;

#[test]
fn links_between_documents_lead_somewhere() {
    let documents = documents();
    assert!(documents.len() > 10, "{documents:?}");
    let dead: Vec<String> = documents.iter().flat_map(|path| dead_links(path)).collect();
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

#[test]
fn every_page_is_linked_from_the_readme() {
    let readme = read(&repository().join("README.md"));
    for page in markdown_in("docs") {
        let name = page.file_name().expect("a file").to_string_lossy();
        let link = format!("(docs/{name})");
        assert!(readme.contains(&link), "README.md does not link {link}");
    }
}

fn documents() -> Vec<PathBuf> {
    ["", "docs", "tests/cluster", "tests/corpus"]
        .into_iter()
        .flat_map(markdown_in)
        .collect()
}

fn markdown_in(folder: &str) -> Vec<PathBuf> {
    let folder = repository().join(folder);
    let entries = std::fs::read_dir(&folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("a readable folder").path());
    let is_markdown = |path: &PathBuf| path.extension().is_some_and(|is| is == "md");
    paths.filter(is_markdown).collect()
}

/// Those to files, and to headings, of this repository.
fn dead_links(from: &Path) -> Vec<String> {
    let text = read(from);
    let folder = from.parent().expect("a file is in a folder");
    let is_dead = |link: &&str| {
        let (path, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = match path {
            "" => from.to_owned(),
            path => folder.join(path),
        };
        !target.exists() || !heading.is_empty() && !headings(&read(&target)).contains(heading)
    };
    links(&text)
        .filter(|link| !link.contains("://"))
        .filter(is_dead)
        .map(|link| format!("{}: {link}", from.display()))
        .collect()
}

fn links(text: &str) -> impl Iterator<Item = &str> {
    let after = text.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')').map(|(link, _)| link))
}

/// As forges name them: letters and digits in lower case, spaces as hyphens, nothing else.
fn headings(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix('#'));
    let words = lines.map(|line| line.trim_start_matches('#').trim().to_lowercase());
    let name = |words: String| {
        let kept = words
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    words.map(name).collect()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

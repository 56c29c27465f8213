-- A few rows of every table that writes change. All columns are listed, because tables made by
-- Django have no defaults.

insert into users_user
  (id, password, is_superuser, is_staff, is_active, date_joined, username, first_name, last_name,
   email, display_first_name, display_last_name, is_aec)
values
  (1, 'hash-1', false, true, true, '2020-01-01', 'lea', 'Lea', 'Ash', 'lea@spms.test', 'Lea', 'Ash', false),
  (2, 'hash-2', false, true, true, '2020-01-01', 'mel', 'Mel', 'Birch', 'mel@spms.test', 'Mel', 'Birch', false),
  (3, 'hash-3', true, true, true, '2020-01-01', 'sue', 'Sue', 'Cedar', 'sue@spms.test', 'Sue', 'Cedar', false),
  (4, 'hash-4', false, true, true, '2020-01-01', 'out', 'Out', 'Elm', 'out@spms.test', 'Out', 'Elm', false),
  (5, 'hash-5', true, true, false, '2020-01-01', 'old', 'Old', 'Fir', 'old@spms.test', 'Old', 'Fir', false);

insert into agencies_agency (id, created_at, updated_at, name, is_active) values
  (11, '2020-01-01', '2020-01-01', 'DBCA', true), (12, '2020-01-01', '2020-01-01', 'UWA', true);

insert into agencies_branch (id, created_at, updated_at, agency_id, name, manager_id) values
  (21, '2020-01-01', '2020-01-01', 11, 'Perth', 1),
  (22, '2020-01-01', '2020-01-01', 11, 'Albany 100%', null),
  (23, '2020-01-01', '2020-01-01', null, 'Broome', null);

insert into contacts_address (id, created_at, updated_at, branch_id, street, city, zipcode, state, country)
values (24, '2020-01-01', '2020-01-01', 21, '1 Street', 'Perth', 6000, 'WA', 'Australia');

insert into agencies_businessarea (id, created_at, updated_at, agency_id, name, published, is_active)
values
  (31, '2020-01-01', '2020-01-01', 11, 'Ecology', true, true),
  (32, '2020-01-01', '2020-01-01', 11, 'Marine', true, true);

insert into agencies_division (id, created_at, updated_at, name, slug, director_id) values
  (271, '2020-01-01', '2020-01-01', 'Division', 'd', 1);
insert into agencies_division_directorate_email_list (id, division_id, user_id) values (272, 271, 1);
insert into medias_businessareaphoto
  (id, created_at, updated_at, file, size, business_area_id, uploader_id)
values (273, '2020-01-01', '2020-01-01', 'business_areas/32.png', 1, 32, 2);

insert into agencies_affiliation (id, created_at, updated_at, name) values
  (35, '2020-01-01', '2020-01-01', 'Notre Dame'), (36, '2020-01-01', '2020-01-01', 'Griffith'),
  (39, '2020-01-01', '2020-01-01', 'Murdoch');

insert into users_userprofile (id, created_at, updated_at, user_id, title) values
  (37, '2020-01-01', '2020-01-01', 3, 'dr');

insert into contacts_usercontact (id, created_at, updated_at, user_id, email, phone) values
  (38, '2020-01-01', '2020-01-01', 3, 'sue@home.test', '1');

insert into users_userwork (id, created_at, updated_at, user_id, branch_id, business_area_id, role) values
  (33, '2020-01-01', '2020-01-01', 1, 21, 31, 'Admin'),
  (34, '2020-01-01', '2020-01-01', 2, 22, 31, 'None');

insert into users_publicstaffprofile
  (id, created_at, updated_at, user_id, is_hidden, about, expertise, public_email, public_email_on,
   custom_title, custom_title_on)
values
  (41, '2020-01-01', '2020-01-01', 1, false, 'About Lea', 'Orchids', 'lea@public.test', true, null, false),
  (42, '2020-01-01', '2020-01-01', 2, true, 'About Mel', 'Moss', null, false, 'Warden', true);

insert into users_employmententry (id, public_profile_id, position_title, start_year) values
  (43, 41, 'Keeper', 2010), (44, 42, 'Helper', 2011);
insert into users_educationentry
  (id, public_profile_id, qualification_name, end_year, institution, location)
values (45, 41, 'BSc', 2000, 'UWA', 'Perth');
insert into documents_custompublication (id, public_profile_id, year, title) values
  (46, 41, 2020, 'On orchids');
insert into users_keywordtag (id, name) values (47, 'flora');
insert into users_publicstaffprofile_keyword_tags (id, publicstaffprofile_id, keywordtag_id) values
  (48, 41, 47);

insert into projects_project
  (id, created_at, updated_at, kind, status, year, number, title, description, tagline, keywords,
   start_date, end_date, business_area_id, deletion_requested, hidden_from_staff_profiles)
values
  (51, '2020-01-01', '2020-01-01', 'science', 'active', 2020, 1, 'Orchids', 'About orchids',
   'Tagline', 'orchid', '2020-02-01', '2025-12-31', 31, false, '{}'),
  (52, '2020-01-01', '2020-01-01', 'science', 'active', 2020, 2, 'Leaderless', null,
   null, null, null, null, null, false, '{}');

insert into projects_projectmember
  (id, created_at, updated_at, project_id, user_id, is_leader, role, time_allocation, position,
   short_code, comments)
values
  (53, '2020-01-01', '2020-01-01', 51, 1, true, 'supervising', 0.5, 1, 'S1', 'First'),
  (54, '2020-01-01', '2020-01-01', 51, 2, false, 'research', 0, 2, null, null),
  (55, '2020-01-01', '2020-01-01', 51, 5, true, 'research', 0, 3, null, null),
  (56, '2020-01-01', '2020-01-01', 52, 2, false, 'research', 0, 1, null, null);

insert into documents_projectdocument
  (id, created_at, updated_at, project_id, creator_id, modifier_id, kind, status,
   project_lead_approval_granted, business_area_lead_approval_granted,
   directorate_approval_granted, pdf_generation_in_progress)
values
  (57, '2020-01-01', '2020-01-01', 51, 1, 2, 'concept', 'approved', true, true, true, false),
  (58, '2020-02-01', '2020-02-01', 51, null, null, 'projectplan', 'new', false, false, false, false);

insert into medias_projectdocumentpdf (id, created_at, updated_at, file, size, document_id, project_id)
values (59, '2020-01-01', '2020-01-01', 'project_documents/57.pdf', 1, 57, 51);

insert into caretakers_caretaker
  (id, created_at, updated_at, user_id, caretaker_id, end_date, reason, notes)
values (263, '2020-01-01', '2020-01-01', 5, 4, null, 'leave', 'Until spring');

-- Two projects with rows in every table that can refer to a project. Their leader is deactivated.
insert into locations_area (id, created_at, updated_at, name, area_type) values
  (201, '2020-01-01', '2020-01-01', 'Kimberley', 'dbcaregion'),
  (202, '2020-01-01', '2020-01-01', 'Pilbara', 'dbcaregion');
insert into agencies_departmentalservice (id, created_at, updated_at, name) values
  (203, '2020-01-01', '2020-01-01', 'Wildlife');
insert into projects_project
  (id, created_at, updated_at, kind, status, year, number, title, deletion_requested,
   hidden_from_staff_profiles)
values
  (204, '2020-01-01', '2020-01-01', 'student', 'new', 2020, 3, 'Laden', false, '{5,2}'),
  (205, '2020-01-01', '2020-01-01', 'external', 'new', 2020, 4, 'Twin', true, '{}');
insert into projects_projectmember
  (id, created_at, updated_at, project_id, user_id, is_leader, role)
values
  (206, '2020-01-01', '2020-01-01', 204, 5, true, 'supervising'),
  (207, '2020-01-01', '2020-01-01', 205, 5, true, 'supervising');
insert into projects_projectarea (id, created_at, updated_at, project_id, areas) values
  (208, '2020-01-01', '2020-01-01', 204, '{202,201}'), (209, '2020-01-01', '2020-01-01', 205, '{}');
insert into projects_projectdetail
  (id, created_at, updated_at, project_id, creator_id, owner_id, service_id)
values
  (210, '2020-01-01', '2020-01-01', 204, 5, 2, 203), (211, '2020-01-01', '2020-01-01', 205, 2, 2, null);
insert into projects_studentprojectdetails (id, project_id, level, organisation) values
  (212, 204, 'phd', 'UWA'), (213, 205, 'msc', null);
insert into projects_externalprojectdetails (id, project_id, collaboration_with, budget) values
  (214, 204, 'UWA', '1'), (215, 205, 'DBCA', '2');
insert into medias_projectphoto (id, created_at, updated_at, file, size, project_id, uploader_id) values
  (216, '2020-01-01', '2020-01-01', 'projects/204.png', 1, 204, 5),
  (217, '2020-01-01', '2020-01-01', 'projects/205.png', 1, 205, 2);

insert into documents_annualreport
  (id, created_at, updated_at, creator_id, year, date_open, date_closed, pdf_generation_in_progress,
   is_published)
values (218, '2020-01-01', '2020-01-01', 2, 2020, '2020-01-01', '2020-12-31', false, true);
insert into documents_projectdocument
  (id, created_at, updated_at, project_id, creator_id, modifier_id, kind, status,
   project_lead_approval_granted, business_area_lead_approval_granted, directorate_approval_granted,
   pdf_generation_in_progress)
values
  (221, '2020-01-01', '2020-01-01', 204, 5, 2, 'concept', 'new', false, false, false, false),
  (222, '2020-01-01', '2020-01-01', 204, 2, 5, 'projectplan', 'new', false, false, false, false),
  (223, '2020-01-01', '2020-01-01', 204, 5, 5, 'progressreport', 'new', false, false, false, false),
  (224, '2020-01-01', '2020-01-01', 204, 5, 5, 'studentreport', 'new', false, false, false, false),
  (225, '2020-01-01', '2020-01-01', 204, 5, 5, 'projectclosure', 'new', false, false, false, false),
  (226, '2020-01-01', '2020-01-01', 205, 5, 5, 'projectplan', 'new', false, false, false, false);
insert into documents_conceptplan (id, document_id, project_id) values (231, 221, 204);
insert into documents_projectplan (id, document_id, project_id) values (232, 222, 204), (233, 226, 205);
insert into documents_progressreport (id, document_id, project_id, report_id, year, is_final_report)
values (234, 223, 204, 218, 2020, false);
insert into documents_studentreport (id, document_id, project_id, report_id, year) values
  (235, 224, 204, 218, 2020);
insert into documents_projectclosure (id, document_id, project_id) values (236, 225, 204);
insert into documents_endorsement (id, project_plan_id, ae_endorsement_required, ae_endorsement_provided)
values (237, 232, true, false), (238, 233, false, false);
insert into medias_projectdocumentpdf (id, created_at, updated_at, file, size, document_id, project_id)
values
  (241, '2020-01-01', '2020-01-01', 'a.pdf', 1, 222, 204),
  (242, '2020-01-01', '2020-01-01', 'b.pdf', 1, 226, 205);
insert into medias_projectplanmethodologyphoto
  (id, created_at, updated_at, file, size, project_plan_id, uploader_id)
values
  (243, '2020-01-01', '2020-01-01', 'a.png', 1, 232, 2),
  (244, '2020-01-01', '2020-01-01', 'b.png', 1, 233, 2);
insert into medias_aecendorsementpdf
  (id, created_at, updated_at, file, size, endorsement_id, creator_id)
values
  (245, '2020-01-01', '2020-01-01', 'c.pdf', 1, 237, 2),
  (246, '2020-01-01', '2020-01-01', 'd.pdf', 1, 238, 2);
insert into communications_comment
  (id, created_at, updated_at, user_id, document_id, text, is_public, is_removed)
values
  (251, '2020-01-01', '2020-01-01', 2, 222, 'On the plan', true, false),
  (252, '2020-01-01', '2020-01-01', 5, 226, 'On another', true, false);
insert into communications_reaction (id, created_at, updated_at, user_id, comment_id, reaction) values
  (253, '2020-01-01', '2020-01-01', 2, 251, 'like'), (254, '2020-01-01', '2020-01-01', 2, 252, 'like');
insert into adminoptions_admintask
  (id, created_at, updated_at, action, status, project_id, requester_id, reason)
values
  (261, '2020-01-01', '2020-01-01', 'deleteproject', 'rejected', 204, 1, 'No'),
  (262, '2020-01-01', '2020-01-01', 'deleteproject', 'pending', 205, 2, 'Double');

insert into users_userprofile (id, created_at, updated_at, user_id, title) values
  (61, '2020-01-01', '2020-01-01', 1, 'dr');
insert into contacts_usercontact (id, created_at, updated_at, user_id, email, phone, fax) values
  (62, '2020-01-01', '2020-01-01', 1, 'lea@home.test', '0123', null);
insert into medias_useravatar (id, created_at, updated_at, user_id, file, size) values
  (63, '2020-01-01', '2020-01-01', 2, 'user_avatars/mel.png', 5);
insert into caretakers_caretaker (id, created_at, updated_at, user_id, caretaker_id, end_date) values
  (64, '2020-01-01', '2020-01-01', 1, 2, null);
